"""``livecomments streams``: list, create and end."""

from collections.abc import Iterator
from contextlib import contextmanager

from livecomments.cli.exits import failure
from livecomments.client import LiveComments, LiveCommentsError, StreamStatus
from livecomments.client.stream_requests import State, Visibility
from livecomments.v1.comment_pb2 import Stream


def list_streams(core: str, token: str, state: State | None) -> list[StreamStatus]:
    """The streams that the token's user may watch, the newest first; raises CommandError, as all here."""
    with _live(core, token) as live:
        return list(live.streams(state=state))


def create_stream(
    core: str, token: str, title: str, *, stream_id: str | None, visibility: Visibility, slow_mode_s: int
) -> Stream:
    """A new stream of the token's user."""
    with _live(core, token) as live:
        return live.create_stream(title, stream_id=stream_id, visibility=visibility, slow_mode_s=slow_mode_s)


def end_stream(core: str, token: str, stream_id: str, notice_s: int) -> Stream:
    """Ends a stream, or announces its end."""
    with _live(core, token) as live:
        return live.end_stream(stream_id, notice_s=notice_s)


@contextmanager
def _live(core: str, token: str) -> Iterator[LiveComments]:
    try:
        with LiveComments(core=core, token=token) as live:
            yield live
    except LiveCommentsError as error:
        raise failure(error) from error
