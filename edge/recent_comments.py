"""The latest comments of one stream, with their places in the log, so that a page of them can be led on from. Pure."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from edge.shapes import CommentShape, comment_shape
from livecomments.recent_pages import places
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed

KEPT = 200
"""Comments: as many as a page of the latest may hold, and as fanout gives to begin with."""


class _Placed(NamedTuple):
    shape: CommentShape
    seq: int
    """Of its message in the log; 0 where nobody has said so."""
    number: int
    """Among the events of that message."""


class Latest(NamedTuple):
    """The last comments of a stream."""

    comments: list[CommentShape]
    """Oldest first."""
    before: tuple[int, int, int] | None
    """Where the oldest stands (its offset_ms, the seq of its message, its number there), for who wants those before it;
    None when there are none.
    """
    is_full: bool
    """As many as were asked for, or all that there are. Fewer stand here when others were deleted, or when fanout had
    only the end of the log.
    """


class RecentComments:
    """The last KEPT comments, without the deleted ones."""

    def __init__(self, snapshot: feed.Snapshot) -> None:
        found = places(len(snapshot.comments), snapshot.comment_seqs, snapshot.comment_indices)
        placed = (
            _Placed(comment_shape(comment), *place) for comment, place in zip(snapshot.comments, found, strict=True)
        )
        self._comments: deque[_Placed] = deque(placed, KEPT)
        self._from_first = snapshot.from_first and len(self._comments) == len(snapshot.comments)
        """No comment of the stream is older than these."""

    def add(self, comment: pb.Comment, seq: int, number: int) -> None:
        """The next comment of the log: event ``number`` of its message ``seq``."""
        if len(self._comments) == KEPT:
            self._from_first = False
        self._comments.append(_Placed(comment_shape(comment), seq, number))

    def delete(self, comment_id: str) -> None:
        """It is gone, if it was here."""
        kept = (comment for comment in self._comments if comment.shape.comment_id != comment_id)
        self._comments = deque(kept, KEPT)

    def last(self, limit: int) -> Iterator[CommentShape]:
        """At most ``limit``, oldest first."""
        return (comment.shape for comment in self._tail(limit))

    def page(self, limit: int) -> Latest | None:
        """At most ``limit``; None when there are none though there may be older ones, or when nobody has said where the
        oldest stands.
        """
        comments = list(self._tail(limit))
        shapes = [comment.shape for comment in comments]
        if self._from_first and len(comments) == len(self._comments):
            return Latest(shapes, None, is_full=True)
        if not comments or not comments[0].seq:
            return None
        oldest = comments[0]
        return Latest(shapes, (oldest.shape.offset_ms, oldest.seq, oldest.number), is_full=len(comments) == limit)

    def _tail(self, limit: int) -> Iterator[_Placed]:
        return islice(self._comments, max(0, len(self._comments) - limit), None)
