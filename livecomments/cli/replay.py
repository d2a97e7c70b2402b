"""``livecomments replay``: a stream's comments in the terminal, at their pace."""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from livecomments.cli.exits import failure
from livecomments.cli.playing import in_shown_order, play
from livecomments.client import LiveComments, LiveCommentsError
from livecomments.v1.comment_pb2 import Comment, Stream


class Output(Protocol):
    """Where the comments go."""

    def begin(self, stream: Stream, start_ms: int, end_ms: int) -> None:
        """Told once, before all else: what is played, from where to where, ms of the recording."""

    def show(self, comment: Comment) -> None:
        """Shows one comment, at once."""

    def reach(self, at_ms: int) -> None:
        """The recording has come to a place, ms."""


class WallClock:
    """The clock of this machine."""

    now = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


def replay_stream(
    core: str, storage: str, token: Callable[[], str], stream_id: str, *, output: Output, start_s: float, speed: float
) -> None:
    """Plays what is stored of a stream; returns at its end, or of a live one where it stood at the beginning.

    Raises CommandError.
    """
    try:
        with LiveComments(core=core, storage=storage, token=token) as live:
            stream = live.get_stream(stream_id).stream
            end_ms = (stream.ended_at_ms or time.time_ns() // 1_000_000) - stream.started_at_ms + 1

            def read(from_ms: int, to_ms: int) -> Iterable[Comment]:
                return live.comments(stream_id, start=from_ms / 1000, duration=(to_ms - from_ms) / 1000)

            start_ms = round(start_s * 1000)
            output.begin(stream, start_ms, end_ms)
            comments = in_shown_order(read, start_ms, end_ms)
            play(comments, WallClock(), start_ms=start_ms, speed=speed, show=output.show, reach=output.reach)
    except LiveCommentsError as error:
        raise failure(error) from error
