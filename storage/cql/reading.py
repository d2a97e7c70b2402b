"""Reads comments in the order of their places, partition after partition."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import ceil

from cassandra.query import BoundStatement

from livecomments.v1.comment_pb2 import Comment
from storage.cql.bridge import Bridge, Row, together
from storage.cql.positions import position_of
from storage.cql.rows import Span, bucket_of
from storage.cql.statements import Direction, Statements
from storage.cql.views import View, Views, stream_row_of
from storage.store import Page, Place, StoredComment

_BUCKETS_LISTED = 100
_BUCKETS_AT_ONCE = 16


class Reader:
    """Answers reads; all methods raise StoreUnavailable.

    A view is there first (``storage/cql/views.py``), then comments are read: what a page says that it shows was there
    before it was looked for. The partition that a span begins in is read without asking whether it exists: nearly
    always it does, and mostly it holds all that is wanted. Those behind it are read by their list, the first of them
    beside that list.
    """

    def __init__(self, bridge: Bridge, statements: Statements, views: Views | None = None) -> None:
        self._bridge = bridge
        self._statements = statements
        self._views = views or Views()

    async def window(self, shard: int, stream_id: str, span: Span, limit: int) -> Page:
        """The first ``limit`` comments of a span."""
        direction, wanted = self._statements.forwards, limit + 1
        view = self._views.find(shard, stream_id)
        if view is not None:
            rows = await self._bridge.run(_head_of(direction, stream_id, span, wanted))
            found = await self._from_head(_Reading(direction, stream_id, span, view), rows, wanted)
            if len(found) >= wanted or view.ended:
                return _page(view, found, limit)
            self._views.drop(shard, stream_id)
        asked_at = self._views.now()
        view, found = await self._read(direction, shard, stream_id, span, wanted)
        if len(found) >= wanted or view.ended:
            self._views.keep(shard, stream_id, view, asked_at)
        return _page(view, found, limit)

    async def recent(self, shard: int, stream_id: str, span: Span, limit: int) -> Page:
        """The last ``limit`` comments of a span: always by a new view, as what an old one does not show comes first."""
        view, found = await self._read(self._statements.backwards, shard, stream_id, span, limit + 1)
        page = _page(view, found, limit)
        return replace(page, comments=page.comments[::-1])

    async def get(self, stream_id: str, offset_ms: int, comment_id: str) -> StoredComment | None:
        """The comment of this id at this offset."""
        at = self._statements.comments_at.bind((stream_id, bucket_of(offset_ms), offset_ms))
        of_stream = self._statements.stream.bind((stream_id,))
        rows, stream_rows = await together(map(self._bridge.run, (at, of_stream)))
        found = _shown(View(None, stream_row_of(stream_rows)), rows)
        return next((row for row in found if row.comment.comment_id == comment_id), None)

    async def _read(
        self, direction: Direction, shard: int, stream_id: str, span: Span, wanted: int
    ) -> tuple[View, list[StoredComment]]:
        """A new view, and up to ``wanted`` comments of a span or a few more, those that come first in the direction."""
        position = position_of(await self._bridge.run(self._statements.position.bind((shard,))))
        of_stream = self._statements.stream.bind((stream_id,))
        head = _head_of(direction, stream_id, span, wanted)
        stream_rows, rows = await together(map(self._bridge.run, (of_stream, head)))
        view = View(position, stream_row_of(stream_rows))
        return view, await self._from_head(_Reading(direction, stream_id, span, view), rows, wanted)

    async def _from_head(self, reading: "_Reading", head: list[Row], wanted: int) -> list[StoredComment]:
        """What there is, given what ``_head_of`` has brought."""
        direction, stream_id = reading.direction, reading.stream_id
        begun = direction.likely(reading.span)
        if begun is None:
            return await self._from_list(reading, head, wanted)
        found = await self._from_bucket(replace(reading, likely=begun, likely_rows=head), begun, wanted)
        missing = wanted - len(found)
        rest = direction.rest(reading.span, direction.edge(begun))
        likely = direction.likely(rest)
        if missing > 0 and likely is not None:
            both = _listing(direction, stream_id, rest), _rows_of(direction, stream_id, likely, rest, missing)
            listed, rows = await together(map(self._bridge.run, both))
            behind = replace(reading, span=rest, likely=likely, likely_rows=rows)
            found += await self._from_list(behind, listed, missing)
        return found

    async def _from_list(self, reading: "_Reading", listed: list[Row], wanted: int) -> list[StoredComment]:
        """What the listed partitions hold, and those behind them."""
        direction = reading.direction
        found: list[StoredComment] = []
        while listed:
            buckets: list[int] = [bucket for (bucket,) in listed]
            found += await self._from_buckets(reading, buckets, wanted - len(found))
            if len(found) >= wanted or len(buckets) < _BUCKETS_LISTED:
                break
            rest = direction.rest(reading.span, direction.edge(buckets[-1]))
            reading = replace(reading, span=rest, likely=None)
            listed = await self._bridge.run(_listing(direction, reading.stream_id, rest))
        return found

    async def _from_buckets(self, reading: "_Reading", buckets: list[int], wanted: int) -> list[StoredComment]:
        """One bucket, then as many at once as should hold what is missing: they may hold little, or all of it."""
        found: list[StoredComment] = []
        at_once, done, fullest = 1, 0, 0
        while done < len(buckets) and len(found) < wanted:
            missing = wanted - len(found)
            batch = buckets[done : done + at_once]
            for comments in await together(self._from_bucket(reading, bucket, missing) for bucket in batch):
                found += comments
                fullest = max(fullest, len(comments))
            done += len(batch)
            at_once = ceil((wanted - len(found)) / fullest) if fullest else 2 * at_once
            at_once = min(at_once, _BUCKETS_AT_ONCE)
        return found

    async def _from_bucket(self, reading: "_Reading", bucket: int, wanted: int) -> list[StoredComment]:
        found: list[StoredComment] = []
        direction, stream_id, span = reading.direction, reading.stream_id, reading.span
        # It comes first: nothing was found yet, and as many were asked for.
        is_here = bucket == reading.likely
        rows = reading.likely_rows if is_here else await self._rows(direction, stream_id, bucket, span, wanted)
        while True:
            found += _shown(reading.view, rows)
            if len(rows) < wanted or len(found) >= wanted:
                return found
            span = direction.rest(span, _place(rows[-1]))
            rows = await self._rows(direction, stream_id, bucket, span, wanted)

    async def _rows(self, direction: Direction, stream_id: str, bucket: int, span: Span, limit: int) -> list[Row]:
        return await self._bridge.run(_rows_of(direction, stream_id, bucket, span, limit))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read, and what of it is shown."""

    direction: Direction
    stream_id: str
    span: Span
    view: View
    likely: int | None = None
    """The partition that the span begins in, when it was read already."""
    likely_rows: list[Row] = field(default_factory=list)
    """The first of its rows."""


def _head_of(direction: Direction, stream_id: str, span: Span, wanted: int) -> BoundStatement:
    """What is asked first: the partition that the span begins in, or the list when nobody knows which that is."""
    begun = direction.likely(span)
    if begun is None:
        return _listing(direction, stream_id, span)
    return _rows_of(direction, stream_id, begun, span, wanted)


def _rows_of(direction: Direction, stream_id: str, bucket: int, span: Span, limit: int) -> BoundStatement:
    low, high = span.low, span.high
    bounds = (low.offset_ms, low.seq, low.index, high.offset_ms, high.seq, high.index)
    return direction.rows.bind((stream_id, bucket, *bounds, limit))


def _listing(direction: Direction, stream_id: str, span: Span) -> BoundStatement:
    return direction.buckets.bind((stream_id, *span.buckets, _BUCKETS_LISTED))


def _page(view: View, found: list[StoredComment], limit: int) -> Page:
    """The first of what was found, in its order."""
    return Page(tuple(found[:limit]), len(found) > limit, view.through, view.ended)


def _shown(view: View, rows: list[Row]) -> Iterator[StoredComment]:
    for offset_ms, seq, index, epoch, blob in rows:
        if view.shows(epoch, seq):
            yield StoredComment(Place(offset_ms, seq, index), Comment.FromString(blob))


def _place(row: Row) -> Place:
    return Place(*row[:3])
