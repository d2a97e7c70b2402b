"""``livecomments tail``: a stream's feed in the terminal."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from livecomments.cli.exits import failure
from livecomments.client import CommentsPosted, FeedEvent, LiveComments, LiveCommentsError, Snapshot
from livecomments.v1.comment_pb2 import Comment


class Output(Protocol):
    """Where the events go."""

    def show(self, event: FeedEvent) -> None:
        """Shows one event, at once."""


class After:
    """Passes on what was not among the comments that were shown before."""

    def __init__(self, output: Output, shown: set[str]) -> None:
        self._output = output
        self._shown = shown

    def show(self, event: FeedEvent) -> None:
        """As the output's own."""
        match event:
            case Snapshot(comments=comments):
                self._output.show(replace(event, comments=self._new(comments)))
            case CommentsPosted(comments=comments):
                if new := self._new(comments):
                    self._output.show(replace(event, comments=new))
            case _:
                self._output.show(event)

    def _new(self, comments: tuple[Comment, ...]) -> tuple[Comment, ...]:
        return tuple(comment for comment in comments if comment.comment_id not in self._shown)


def tail_stream(
    fanout: str, token: Callable[[], str], stream_id: str, output: Output, *, cursor: str | None = None
) -> None:
    """Shows a stream's feed until it ends, from a cursor or with the latest comments first. Raises CommandError."""
    try:
        with LiveComments(fanout=fanout, token=token) as live, live.watch(stream_id, cursor) as events:
            for event in events:
                output.show(event)
    except LiveCommentsError as error:
        raise failure(error) from error


def show_last(core: str, storage: str, token: str, stream_id: str, seconds: float, *, output: Output) -> set[str]:
    """Shows what was posted in the last ``seconds``; gives the ids of these comments. Raises CommandError."""
    try:
        with LiveComments(core=core, storage=storage, token=token) as live:
            stream = live.get_stream(stream_id).stream
            now_ms = stream.ended_at_ms or time.time_ns() // 1_000_000
            end_s = (now_ms - stream.started_at_ms) / 1000 + 1
            start_s = max(0.0, end_s - seconds - 1)
            found = list(live.comments(stream_id, start=start_s, duration=end_s - start_s))
    except LiveCommentsError as error:
        raise failure(error) from error
    if found:
        output.show(CommentsPosted(tuple(found), ""))
    return {comment.comment_id for comment in found}
