"""Streams: create, list, read, change, end."""

from typing import Annotated, Literal

import msgspec
from google.protobuf import field_mask_pb2
from quart import Blueprint, Response, request

from edge.requests import Query, read_json
from edge.routes.answers import answer
from edge.shapes import StreamShape, stream_shape
from edge.state import body, on_behalf, require_user, this_edge
from edge.upstream import call
from livecomments.errors import invalid
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import stream_service_pb2 as rpc

streams = Blueprint("streams", __name__)

CALL_S = 5.0
_VISIBILITIES = {"public": pb.STREAM_VISIBILITY_PUBLIC, "private": pb.STREAM_VISIBILITY_PRIVATE}
_STATES = {"live": pb.STREAM_STATE_LIVE, "ended": pb.STREAM_STATE_ENDED}
_ANYWHERE = ""
"""Calls about no stream in particular go to any core."""

# Its core checks it, after normalising: here it is only described.
_CONTROLS = r"\u0000-\u001f\u007f-\u009f"
_PLAIN = rf"^[^{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*$"
Title = Annotated[
    str,
    msgspec.Meta(
        description="Stored as NFC, without the white space around it; no control characters.",
        extra_json_schema={"minLength": 1, "maxLength": 200, "pattern": _PLAIN},
    ),
]
StreamId = Annotated[
    str,
    msgspec.Meta(description="Chosen by you; empty: a UUID.", extra_json_schema={"pattern": "^[A-Za-z0-9_-]{0,64}$"}),
]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=3600)]
Visibility = Literal["public", "private"]


class CreateStream(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/streams."""

    title: Title
    stream_id: StreamId = ""
    visibility: Visibility = "public"
    slow_mode_s: Seconds = 0


class ChangeStream(msgspec.Struct, forbid_unknown_fields=True):
    """PATCH /v1/streams/{id}."""

    title: Title | msgspec.UnsetType = msgspec.UNSET
    visibility: Visibility | msgspec.UnsetType = msgspec.UNSET
    slow_mode_s: Seconds | msgspec.UnsetType = msgspec.UNSET


class EndStream(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/streams/{id}/end."""

    notice_s: Seconds = 0


class StreamPage(msgspec.Struct, omit_defaults=True):
    """A page of streams, newest first."""

    streams: list[StreamShape]
    next_pagination_token: str | None = None


@streams.post("/v1/streams")
async def create_stream() -> Response:
    """Creates a stream; a host's."""
    require_user()
    form = read_json(await body(), CreateStream)
    created = await call(
        this_edge().cores.owner(form.stream_id).streams.CreateStream,
        rpc.CreateStreamRequest(
            stream_id=form.stream_id,
            title=form.title,
            visibility=_VISIBILITIES[form.visibility],
            slow_mode_s=form.slow_mode_s,
        ),
        timeout_s=CALL_S,
        metadata=on_behalf(),
    )
    return answer(stream_shape(created.stream, 0), 201, {"Location": f"/v1/streams/{created.stream.stream_id}"})


@streams.get("/v1/streams")
async def list_streams() -> Response:
    """Lists streams, newest first."""
    query = Query(request.args.to_dict(flat=False), frozenset({"state", "limit", "pagination_token"}))
    page = await call(
        this_edge().cores.owner(_ANYWHERE).streams.ListStreams,
        rpc.ListStreamsRequest(
            state=query.choice("state", _STATES, pb.STREAM_STATE_UNSPECIFIED),
            page_size=query.integer("limit", 50, 1, 500),
            page_token=query.text("pagination_token"),
        ),
        timeout_s=CALL_S,
        metadata=on_behalf(),
    )
    shapes = [stream_shape(stream, page.viewers.get(stream.stream_id, 0)) for stream in page.streams]
    return answer(StreamPage(shapes, page.next_page_token or None))


@streams.get("/v1/streams/<stream_id>")
async def get_stream(stream_id: str) -> Response:
    """One stream."""
    found = await read_stream(rpc.GetStreamRequest(stream_id=stream_id))
    return answer(stream_shape(found.stream, found.viewers))


async def read_stream(asked: rpc.GetStreamRequest) -> rpc.GetStreamResponse:
    """One stream, as its core has it. Raises Refusal."""
    method = this_edge().cores.owner(asked.stream_id).streams.GetStream
    return await call(method, asked, timeout_s=CALL_S, metadata=on_behalf())


@streams.patch("/v1/streams/<stream_id>")
async def change_stream(stream_id: str) -> Response:
    """Changes what is given, keeps the rest."""
    require_user()
    form = read_json(await body(), ChangeStream)
    stream = pb.Stream(stream_id=stream_id)
    changed = []
    if form.title is not msgspec.UNSET:
        stream.title = form.title
        changed.append("title")
    if form.visibility is not msgspec.UNSET:
        stream.visibility = _VISIBILITIES[form.visibility]
        changed.append("visibility")
    if form.slow_mode_s is not msgspec.UNSET:
        stream.slow_mode_s = form.slow_mode_s
        changed.append("slow_mode_s")
    if not changed:
        raise invalid("title", "nothing to change: give title, visibility or slow_mode_s")
    updated = await call(
        this_edge().cores.owner(stream_id).streams.UpdateStream,
        rpc.UpdateStreamRequest(stream=stream, update_mask=field_mask_pb2.FieldMask(paths=changed)),
        timeout_s=CALL_S,
        metadata=on_behalf(),
    )
    return answer(stream_shape(updated.stream, 0))


@streams.post("/v1/streams/<stream_id>/end")
async def end_stream(stream_id: str) -> Response:
    """Ends a stream, at once or after a notice."""
    require_user()
    form = read_json(await body() or b"{}", EndStream)
    ended = await call(
        this_edge().cores.owner(stream_id).streams.EndStream,
        rpc.EndStreamRequest(stream_id=stream_id, notice_s=form.notice_s),
        timeout_s=CALL_S,
        metadata=on_behalf(),
    )
    return answer(stream_shape(ended.stream, 0))
