"""What may be asked of core about streams: arguments in, a Call out, as in ``requests``."""

import uuid
from dataclasses import dataclass
from typing import Literal

from livecomments.client.call import DEADLINE_S, Call, Page, Rpc, Service
from livecomments.errors import Reason
from livecomments.v1.comment_pb2 import Stream, StreamState, StreamVisibility
from livecomments.v1.stream_service_pb2 import (
    CreateStreamRequest,
    CreateStreamResponse,
    EndStreamRequest,
    EndStreamResponse,
    GetStreamRequest,
    GetStreamResponse,
    ListStreamsRequest,
    ListStreamsResponse,
    UpdateStreamRequest,
    UpdateStreamResponse,
)

Visibility = Literal["public", "private"]
State = Literal["live", "ended"]

_STREAMS_A_PAGE = 200


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream, and how many watch it."""

    stream: Stream
    viewers: int
    """Approximate, over the whole audience."""


def create_stream(
    title: str,
    *,
    stream_id: str | None = None,
    visibility: Visibility = "public",
    slow_mode_s: int = 0,
    deadline_s: float = DEADLINE_S,
) -> Call[Stream]:
    """Opens a stream whose host is the caller; the token's role must be host.

    ``stream_id`` is 1 to 64 of ``A-Z a-z 0-9 _ -``, a UUID when it is None. ``slow_mode_s`` is the least time between
    two comments of one user, seconds. Repeatable with the same id.
    """
    request = CreateStreamRequest(
        # An id of our own makes the repetition of a lost call find the stream that the first one made.
        stream_id=stream_id or str(uuid.uuid4()),
        title=title,
        visibility=_visibility(visibility),
        slow_mode_s=slow_mode_s,
    )
    return Call(
        _streams("CreateStream"),
        request,
        lambda data: CreateStreamResponse.FromString(data).stream,
        deadline_s,
        Reason.NOT_CONFIRMED,
    )


def get_stream(stream_id: str, *, deadline_s: float = DEADLINE_S) -> Call[StreamStatus]:
    """The stream as it stands."""

    def read(data: bytes) -> StreamStatus:
        answer = GetStreamResponse.FromString(data)
        return StreamStatus(answer.stream, answer.viewers)

    return Call(_streams("GetStream"), GetStreamRequest(stream_id=stream_id), read, deadline_s, Reason.OVERLOADED)


def streams(*, state: State | None = None, deadline_s: float = DEADLINE_S) -> Call[Page[StreamStatus]]:
    """The streams that the caller may watch, the newest first; ``deadline_s`` holds for each page."""
    wanted = StreamState.Value(f"STREAM_STATE_{state.upper()}") if state else StreamState.STREAM_STATE_UNSPECIFIED

    def page(token: str) -> Call[Page[StreamStatus]]:
        def read(data: bytes) -> Page[StreamStatus]:
            answer = ListStreamsResponse.FromString(data)
            listed = (StreamStatus(stream, answer.viewers.get(stream.stream_id, 0)) for stream in answer.streams)
            return Page(tuple(listed), page(answer.next_page_token) if answer.next_page_token else None)

        request = ListStreamsRequest(state=wanted, page_size=_STREAMS_A_PAGE, page_token=token)
        return Call(_streams("ListStreams"), request, read, deadline_s, Reason.OVERLOADED)

    return page("")


def update_stream(
    stream_id: str,
    *,
    title: str | None = None,
    visibility: Visibility | None = None,
    slow_mode_s: int | None = None,
    deadline_s: float = DEADLINE_S,
) -> Call[Stream]:
    """Changes what is given, at least one; gives the stream as it stands then. Repeatable."""
    stream = Stream(stream_id=stream_id)
    request = UpdateStreamRequest(stream=stream)
    if title is not None:
        request.stream.title = title
        request.update_mask.paths.append("title")
    if visibility is not None:
        request.stream.visibility = _visibility(visibility)
        request.update_mask.paths.append("visibility")
    if slow_mode_s is not None:
        request.stream.slow_mode_s = slow_mode_s
        request.update_mask.paths.append("slow_mode_s")
    return Call(
        _streams("UpdateStream"),
        request,
        lambda data: UpdateStreamResponse.FromString(data).stream,
        deadline_s,
        Reason.NOT_CONFIRMED,
    )


def end_stream(stream_id: str, *, notice_s: int = 0, deadline_s: float = DEADLINE_S) -> Call[Stream]:
    """Ends a stream, or announces its end in ``notice_s`` seconds. Repeatable."""
    return Call(
        _streams("EndStream"),
        EndStreamRequest(stream_id=stream_id, notice_s=notice_s),
        lambda data: EndStreamResponse.FromString(data).stream,
        deadline_s,
        Reason.NOT_CONFIRMED,
    )


def _streams(method: str) -> Rpc:
    return Rpc(Service.CORE, f"/livecomments.v1.StreamService/{method}")


def _visibility(name: Visibility) -> StreamVisibility.ValueType:
    return StreamVisibility.Value(f"STREAM_VISIBILITY_{name.upper()}")
