"""A replay's heart: which comment comes when. Plain code; the clock and the reading are its caller's."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from livecomments.v1.comment_pb2 import Comment

LAG_MAX_MS = 60_000
"""A comment is shown so much before it was posted, at most."""
_WINDOW_MS = 300_000
_LOOK_EVERY_S = 0.5
"""So often a position is told while nothing comes."""


class Clock(Protocol):
    """Seconds that only go forward."""

    def now(self) -> float:
        """Seconds since some moment."""

    def sleep(self, seconds: float) -> None:
        """Returns after so long."""


Read = Callable[[int, int], Iterable[Comment]]
"""The comments with an offset in [from, to), ms, in the log's order."""


def shown_at_ms(comment: Comment) -> int:
    """The recording's moment that a comment was about, ms from its start."""
    return max(0, comment.offset_ms - comment.lag_ms)


def in_shown_order(read: Read, start_ms: int, end_ms: int) -> Iterator[Comment]:
    """The comments that are shown from ``start_ms`` on and were posted before ``end_ms``, in the order of their
    moments. Reads a window at a time, as far ahead as it must.
    """
    waiting: list[tuple[int, int, Comment]] = []
    reached_ms, count = start_ms, 0
    while reached_ms < end_ms:
        until_ms = min(end_ms, reached_ms + _WINDOW_MS)
        for comment in read(reached_ms, until_ms):
            if shown_at_ms(comment) >= start_ms:
                count += 1
                heapq.heappush(waiting, (shown_at_ms(comment), count, comment))
        reached_ms = until_ms
        # What comes later may still have to be shown before these.
        while waiting and waiting[0][0] < reached_ms - LAG_MAX_MS:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def play(
    comments: Iterable[Comment],
    clock: Clock,
    *,
    start_ms: int,
    speed: float,
    show: Callable[[Comment], None],
    reach: Callable[[int], None],
) -> None:
    """Shows each comment at its moment, ``speed`` times as fast as it was; tells ``reach`` where it is, ms."""
    began = clock.now()
    for comment in comments:
        due = began + (shown_at_ms(comment) - start_ms) / 1000 / speed
        while (wait_s := due - clock.now()) > 0:
            reach(start_ms + round((clock.now() - began) * 1000 * speed))
            clock.sleep(min(wait_s, _LOOK_EVERY_S))
        reach(shown_at_ms(comment))
        show(comment)
