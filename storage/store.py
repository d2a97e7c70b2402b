"""The store: what the writer and HistoryService ask of a database. One test suite holds every store to it.

A store keeps, by shard, how far the log has been written (a Cursor), and by stream the comments in the log's order,
the ids of deleted comments, and the end. It keeps no event loop of its own and blocks none.
"""

from dataclasses import dataclass
from typing import Protocol

import msgspec

from livecomments.cursor import Cursor
from livecomments.v1.comment_pb2 import Comment


class StoreUnavailable(Exception):
    """The database failed, or too many reads wait for it; it may work later. A write may have happened, wholly or in
    part: repeat it.
    """


class OutOfStep(Exception):
    """A batch does not follow what is written: applying it would leave a hole. Readers see nothing of it."""


class NotStorable(Exception):
    """The database will never take a row of this batch, however often it is asked. Nothing was changed."""


class Place(msgspec.Struct, frozen=True, order=True, gc=False):
    """Where a comment stands in its stream; places rise in the log's order."""

    offset_ms: int
    """Milliseconds since the stream's start."""
    seq: int
    """JetStream sequence of its log message, 1 or more."""
    index: int
    """Its number among the events of that message, from 0."""


FIRST = Place(-(2**63), 0, 0)
"""Before every comment."""
LAST = Place(2**63 - 1, 2**63 - 1, 0)
"""Behind every comment."""


class StoredComment(msgspec.Struct, frozen=True, gc=False):
    """A comment and its place. The log and the answers have it in this form, too, and nobody changes it on its way.

    This and Place are Structs, as one of each is made for every comment: frozen dataclasses take six times as long.
    """

    place: Place
    comment: Comment


@dataclass(frozen=True, slots=True)
class Deletion:
    """A comment is gone, also when its insertion comes again."""

    stream_id: str
    comment_id: str
    posted_at_ms: int
    """From the comment's id: with the stream's start it gives the place."""
    seq: int
    """JetStream sequence of the deletion."""


@dataclass(frozen=True, slots=True)
class End:
    """A stream has ended: comments behind ``seq`` are no part of it; deletions behind it count."""

    stream_id: str
    ended_at_ms: int
    seq: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive messages of one shard: all that the log holds behind ``after_seq``, through ``through_seq``."""

    shard: int
    epoch: str
    after_seq: int
    through_seq: int
    comments: tuple[StoredComment, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    ends: tuple[End, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Comments of one stream, oldest first, as they stood at one moment."""

    comments: tuple[StoredComment, ...]
    more: bool
    """There are more in the direction of reading."""
    through: Cursor | None
    """The store holds every event of the shard up to here, and this page shows them; None: nothing was ever written."""
    ended: bool
    """The stream's end is stored, so all of the stream is."""


class Store(Protocol):
    """All methods may raise StoreUnavailable. A cancelled read has no effect; a cancelled write may still happen."""

    async def position(self, shard: int) -> Cursor | None:
        """How far this shard's log has been written; None when it was never adopted."""

    async def adopt(self, shard: int, epoch: str) -> Cursor:
        """How far the log of this epoch has been written. An epoch that is new to the shard starts at 0; the rows of
        older ones stay.
        """

    async def rewind(self, shard: int, after_seq: int) -> None:
        """Takes the position back to ``after_seq``, never forward, so that the log behind it is applied again. The
        rows stay.
        """

    async def apply(self, batch: Batch) -> int:
        """Writes a batch and advances the position; durable on return.

        The position goes no further than what is written, and readers see nothing that lies beyond it. A batch that
        was applied before, wholly or in part, changes nothing that is there: comments come once, deleted ones never
        again. Returns how many of its comments are new; after a rewind, those may count that were there already.
        Raises OutOfStep when the position is of another epoch or lies before ``after_seq``, and NotStorable.
        """

    async def window(self, shard: int, stream_id: str, after: Place, end_offset_ms: int, limit: int) -> Page:
        """The first ``limit`` comments behind ``after`` whose offset is less than ``end_offset_ms``."""

    async def recent(self, shard: int, stream_id: str, before: Place, limit: int) -> Page:
        """The last ``limit`` comments before ``before``; ``more`` tells of older ones."""

    async def get(self, stream_id: str, offset_ms: int, comment_id: str) -> StoredComment | None:
        """The comment of this id at this offset; None when there is none, or it was deleted."""
