"""Reads comments in the order of their places, partition after partition."""

from collections.abc import Iterator
from dataclasses import dataclass

from cassandra.query import BoundStatement

from livecomments.cursor import Cursor
from storage.cql.bridge import Bridge, Row, together
from storage.cql.positions import Position, position_of
from storage.cql.rows import Span, bucket_of
from storage.cql.statements import Direction, Statements
from storage.store import Page, Place, StoredComment

_BUCKETS_LISTED = 100
_BUCKETS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class StreamRow:
    """What is known of a stream as a whole: nothing of it at first."""

    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    ended_epoch: str | None = None
    ended_seq: int | None = None

    def is_behind_end(self, epoch: str, seq: int) -> bool:
        return self.ended_seq is not None and epoch == self.ended_epoch and seq > self.ended_seq


def stream_row_of(rows: list[Row]) -> StreamRow:
    return StreamRow(*rows[0]) if rows else StreamRow()


@dataclass(frozen=True, slots=True)
class View:
    """What readers are shown: the log up to the position, though some rows of what follows may be there, too."""

    position: Position | None
    stream: StreamRow

    @property
    def through(self) -> Cursor | None:
        return None if self.position is None else self.position.cursor

    @property
    def ended(self) -> bool:
        epoch, seq = self.stream.ended_epoch, self.stream.ended_seq
        return epoch is not None and seq is not None and self._is_complete(epoch, seq)

    def shows(self, epoch: str, seq: int) -> bool:
        return self._is_complete(epoch, seq) and not self.stream.is_behind_end(epoch, seq)

    def _is_complete(self, epoch: str, seq: int) -> bool:
        return self.position is None or self.position.has(epoch, seq)


class Reader:
    """Answers reads; all methods raise StoreUnavailable.

    The position is read first, then which partitions there are, then these: what a page says that it shows was there
    before it was looked for.
    """

    def __init__(self, bridge: Bridge, statements: Statements) -> None:
        self._bridge = bridge
        self._statements = statements

    async def window(self, shard: int, stream_id: str, span: Span, limit: int) -> Page:
        """The first ``limit`` comments of a span."""
        view, found = await self._read(self._statements.forwards, shard, stream_id, span, limit + 1)
        return Page(tuple(found[:limit]), len(found) > limit, view.through, view.ended)

    async def recent(self, shard: int, stream_id: str, span: Span, limit: int) -> Page:
        """The last ``limit`` comments of a span."""
        view, found = await self._read(self._statements.backwards, shard, stream_id, span, limit + 1)
        return Page(tuple(found[:limit][::-1]), len(found) > limit, view.through, view.ended)

    async def get(self, stream_id: str, offset_ms: int, comment_id: str) -> StoredComment | None:
        """The comment of this id at this offset."""
        at = self._statements.comments_at.bind((stream_id, bucket_of(offset_ms), offset_ms))
        of_stream = self._statements.stream.bind((stream_id,))
        rows, stream_rows = await together(map(self._bridge.run, (at, of_stream)))
        found = _shown(View(None, stream_row_of(stream_rows)), stream_id, rows)
        return next((comment for comment in found if comment.comment_id == comment_id), None)

    async def _read(
        self, direction: Direction, shard: int, stream_id: str, span: Span, wanted: int
    ) -> tuple[View, list[StoredComment]]:
        """Up to ``wanted`` comments of a span or a few more, those that come first in the direction."""
        position = position_of(await self._bridge.run(self._statements.position.bind((shard,))))
        of_stream = self._statements.stream.bind((stream_id,))
        stream_rows, bucket_rows = await together(
            map(self._bridge.run, (of_stream, _listing(direction, stream_id, span)))
        )
        view = View(position, stream_row_of(stream_rows))
        found: list[StoredComment] = []
        while bucket_rows:
            buckets: list[int] = [bucket for (bucket,) in bucket_rows]
            found += await self._from_buckets(_Reading(direction, stream_id, span, view), buckets, wanted - len(found))
            if len(found) >= wanted or len(buckets) < _BUCKETS_LISTED:
                break
            span = direction.rest(span, direction.edge(buckets[-1]))
            bucket_rows = await self._bridge.run(_listing(direction, stream_id, span))
        return view, found

    async def _from_buckets(self, reading: "_Reading", buckets: list[int], wanted: int) -> list[StoredComment]:
        """Bucket after bucket, each time twice as many at once: they may hold little, or all that is wanted."""
        found: list[StoredComment] = []
        at_once, done = 1, 0
        while done < len(buckets) and len(found) < wanted:
            missing = wanted - len(found)
            batch = buckets[done : done + at_once]
            for comments in await together(self._from_bucket(reading, bucket, missing) for bucket in batch):
                found += comments
            done += len(batch)
            at_once = min(2 * at_once, _BUCKETS_AT_ONCE)
        return found

    async def _from_bucket(self, reading: "_Reading", bucket: int, wanted: int) -> list[StoredComment]:
        found: list[StoredComment] = []
        span = reading.span
        while True:
            low, high = span.low, span.high
            bounds = (low.offset_ms, low.seq, low.index, high.offset_ms, high.seq, high.index)
            rows = await self._bridge.run(reading.direction.rows.bind((reading.stream_id, bucket, *bounds, wanted)))
            found += _shown(reading.view, reading.stream_id, rows)
            if len(rows) < wanted or len(found) >= wanted:
                return found
            span = reading.direction.rest(span, _place(rows[-1]))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read, and what of it is shown."""

    direction: Direction
    stream_id: str
    span: Span
    view: View


def _listing(direction: Direction, stream_id: str, span: Span) -> BoundStatement:
    return direction.buckets.bind((stream_id, *span.buckets, _BUCKETS_LISTED))


def _shown(view: View, stream_id: str, rows: list[Row]) -> Iterator[StoredComment]:
    for row in rows:
        offset_ms, seq, index, epoch, *rest = row
        if view.shows(epoch, seq):
            yield StoredComment(stream_id, Place(offset_ms, seq, index), *rest)


def _place(row: Row) -> Place:
    return Place(*row[:3])
