"""Writes the rows of a batch."""

import time
from collections.abc import Iterable

from cassandra.query import BatchStatement, BatchType, Statement

from livecomments.v1.comment_pb2 import Comment
from storage.cql.bridge import Bridge, together
from storage.cql.rows import Chunk, bucket_of, chunks, deleted_at_us, ttl_s, written_at_us
from storage.cql.statements import Statements
from storage.cql.views import stream_row_of
from storage.store import Batch, Deletion, End, NotStorable

_AT_ONCE = 16
_KNOWN_MAX = 10_000
_TIME_MAX_MS = 2**48
"""What a comment's id can tell; the only time in a batch that does not come from one is a stream's end."""
_BUCKET_MARGIN_S = 86_400
"""A partition's name outlives its rows: it is not written again with each of them."""


class RowWriter:
    """Writes what a batch says, all but the position.

    Repeating a write changes nothing. A write that fails or is cancelled may have happened in part, or happen later.
    """

    def __init__(self, bridge: Bridge, statements: Statements, retention_s: int) -> None:
        """``retention_s``: how long comments live, 0 for ever."""
        self._bridge = bridge
        self._statements = statements
        self._retention_s = retention_s
        self._starts: dict[str, int] = {}
        self._buckets: set[tuple[str, int]] = set()

    def forget(self) -> None:
        """Writes the names of streams and partitions anew: the database may have lost them, or they be old."""
        self._starts.clear()
        self._buckets.clear()

    async def write(self, batch: Batch) -> None:
        """Returns when all rows are there. Raises StoreUnavailable, and NotStorable before anything is written."""
        for end in batch.ends:
            if abs(end.ended_at_ms) > _TIME_MAX_MS:
                raise NotStorable(f"stream {end.stream_id}: ended_at_ms {end.ended_at_ms} is no time")
        if len(self._starts) + len(self._buckets) > _KNOWN_MAX:
            self.forget()
        parts = chunks(batch.comments)
        await self._write_names(parts)
        await self._run((self._inserts(part, batch.epoch) for part in parts), len(parts))
        # Only now: what is deleted is looked up first, and may be of this batch.
        for first in range(0, len(batch.deletions), _AT_ONCE):
            await together(map(self._delete, batch.deletions[first : first + _AT_ONCE]))
        for end in batch.ends:
            await self._end(end, batch.epoch)

    async def _run(self, statements: Iterable[Statement], number: int) -> None:
        await self._bridge.run_each(statements, min(number, _AT_ONCE))

    async def _write_names(self, parts: list[Chunk]) -> None:
        """The rows that tell of streams and partitions."""
        firsts = {part.stream_id: part.rows[0].comment for part in parts if part.stream_id not in self._starts}
        lasts = {
            key: part.rows[-1].comment for part in parts if (key := (part.stream_id, part.bucket)) not in self._buckets
        }
        statements = [*map(self._start, firsts.values()), *map(self._bucket, lasts.values())]
        await self._run(statements, len(statements))
        self._starts |= {stream_id: _started_at_ms(first) for stream_id, first in firsts.items()}
        self._buckets |= lasts.keys()

    def _start(self, comment: Comment) -> Statement:
        values = (comment.stream_id, _started_at_ms(comment), written_at_us(comment.posted_at_ms))
        return self._statements.start_stream.bind(values)

    def _bucket(self, comment: Comment) -> Statement:
        ttl = self._ttl_s(comment.posted_at_ms) + _BUCKET_MARGIN_S if self._retention_s else 0
        values = (comment.stream_id, bucket_of(comment.offset_ms), ttl, written_at_us(comment.posted_at_ms))
        return self._statements.insert_bucket.bind(values)

    def _inserts(self, chunk: Chunk, epoch: str) -> Statement:
        batch = BatchStatement(BatchType.UNLOGGED)
        for row, blob in zip(chunk.rows, chunk.blobs, strict=True):
            place, posted_at_ms = row.place, row.comment.posted_at_ms
            values = (
                chunk.stream_id,
                chunk.bucket,
                place.offset_ms,
                place.seq,
                place.index,
                epoch,
                blob,
                self._ttl_s(posted_at_ms),
                written_at_us(posted_at_ms),
            )
            batch.add(self._statements.insert_comment.bind(values))
        batch.is_idempotent = True
        return batch

    async def _delete(self, deletion: Deletion) -> None:
        started_at_ms = await self._started_at_ms(deletion.stream_id)
        if started_at_ms is None:
            return  # no comment of the stream was ever written
        offset_ms = deletion.posted_at_ms - started_at_ms
        key = (deletion.stream_id, bucket_of(offset_ms), offset_ms)
        for _, seq, index, _, blob in await self._bridge.run(self._statements.comments_at.bind(key)):
            if Comment.FromString(blob).comment_id == deletion.comment_id:
                timestamp = deleted_at_us(deletion.posted_at_ms)
                await self._bridge.run(self._statements.delete_comment.bind((timestamp, *key, seq, index)))

    async def _started_at_ms(self, stream_id: str) -> int | None:
        if stream_id not in self._starts:
            stream = stream_row_of(await self._bridge.run(self._statements.stream.bind((stream_id,))))
            if stream.started_at_ms is None:
                return None
            self._starts[stream_id] = stream.started_at_ms
        return self._starts[stream_id]

    async def _end(self, end: End, epoch: str) -> None:
        stream = stream_row_of(await self._bridge.run(self._statements.stream.bind((end.stream_id,))))
        if stream.ended_seq is None:
            values = (end.stream_id, end.ended_at_ms, epoch, end.seq, written_at_us(end.ended_at_ms))
            await self._bridge.run(self._statements.end_stream.bind(values))

    def _ttl_s(self, posted_at_ms: int) -> int:
        """0 for ever, as CQL has it."""
        return ttl_s(posted_at_ms, time.time_ns() // 1_000_000, self._retention_s) if self._retention_s else 0


def _started_at_ms(comment: Comment) -> int:
    return comment.posted_at_ms - comment.offset_ms
