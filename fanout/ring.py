"""What a topic remembers: its windows of the last seconds, and its latest comments.

Plain code: it is given times and reads no clock.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fanout.messages import Entry, Window
from livecomments.recent_pages import places
from livecomments.v1.comment_pb2 import Comment, Event


class Placed(NamedTuple):
    """A comment, and where it stands in the log."""

    comment: Comment
    seq: int
    """Of its message; 0 where nobody has said so."""
    number: int
    """Among the events of that message."""


def placed(comments: Sequence[Comment], seqs: Sequence[int], indices: Sequence[int]) -> list[Placed]:
    """Comments with the places that came beside them."""
    found = places(len(comments), seqs, indices)
    return [Placed(comment, *place) for comment, place in zip(comments, found, strict=True)]


class Ring:
    """The latest windows, complete after a floor."""

    def __init__(self, floor: int, keep_s: float, max_bytes: int) -> None:
        self._windows: deque[tuple[float, Window]] = deque()
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._size = 0
        self._floor = floor

    def add(self, window: Window, now: float) -> None:
        """Takes the window after those it holds; the oldest go once they are too old or too much."""
        self._windows.append((now, window))
        self._size += window.size
        self.expire(now)

    def expire(self, now: float) -> None:
        while self._windows and (self._size > self._max_bytes or self._windows[0][0] < now - self._keep_s):
            _, window = self._windows.popleft()
            self._size -= window.size
            self._floor = window.last_seq

    def covers(self, seq: int) -> bool:
        """Whether every message after ``seq`` is here."""
        return seq >= self._floor

    def after(self, seq: int) -> list[Entry]:
        """Every message after ``seq``, oldest first; ``covers(seq)`` must hold."""
        newest_first: list[Entry] = []
        for _, window in reversed(self._windows):
            if window.last_seq <= seq:
                break
            newest_first.extend(entry for entry in reversed(window.entries) if entry.seq > seq)
        return newest_first[::-1]


class RecentComments:
    """The latest comments in the log's order, without the deleted ones."""

    def __init__(self, limit: int, comments: Iterable[Placed] = (), *, from_first: bool = False) -> None:
        """``comments``: those to begin with, oldest first; ``from_first``: none of the stream is older than these."""
        self._limit = limit
        self._comments: dict[str, Placed] = {}
        self.from_first = from_first
        """No comment of the stream is older than those that are here."""
        for comment in comments:
            self._add(comment)

    def apply(self, event: Event, seq: int, number: int) -> None:
        """Event ``number`` of the log's message ``seq``."""
        match event.WhichOneof("kind"):
            case "posted":
                self._add(Placed(event.posted.comment, seq, number))
            case "deleted":
                self._comments.pop(event.deleted.comment_id, None)
            case _:
                pass

    def __len__(self) -> int:
        return len(self._comments)

    def latest(self, limit: int) -> list[Placed]:
        """At most ``limit``, oldest first."""
        return list(self._comments.values())[-limit:]

    def _add(self, comment: Placed) -> None:
        # One that the store and the log both gave stays where it is.
        self._comments.setdefault(comment.comment.comment_id, comment)
        if len(self._comments) > self._limit:
            del self._comments[next(iter(self._comments))]
            self.from_first = False
