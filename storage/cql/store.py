"""The store over CQL.

A batch is many writes, and the database takes each by itself. So they are made in an order in which any may be the
last one (names of streams and partitions, comments, deletions and ends, the position), each may be repeated, and
readers are shown nothing behind the position.
"""

from livecomments.cursor import Cursor
from storage.cql.positions import Position, Positions
from storage.cql.reading import Reader
from storage.cql.rows import Span, behind, steps
from storage.cql.writing import RowWriter
from storage.store import FIRST, Batch, OutOfStep, Page, Place, StoredComment

_STEP_COMMENTS = 2_000
"""Comments between two positions: what a reader near the live edge has to skip, and a writer that failed does again."""


class CqlStore:
    """A store over CQL. Open one with ``open_cql``."""

    def __init__(self, positions: Positions, rows: RowWriter, reader: Reader) -> None:
        self._positions = positions
        self._rows = rows
        self._reader = reader
        self._last: dict[int, Position] = {}
        """Where ``apply`` left each shard: asked for again only when that has changed since."""

    async def position(self, shard: int) -> Cursor | None:
        position = await self._positions.read(shard)
        return None if position is None else position.cursor

    async def adopt(self, shard: int, epoch: str) -> Cursor:
        return (await self._positions.adopt(shard, epoch)).cursor

    async def rewind(self, shard: int, after_seq: int) -> None:
        await self._positions.take_back(shard, after_seq)

    async def apply(self, batch: Batch) -> int:
        written = 0
        try:
            for step in steps(batch, _STEP_COMMENTS):
                written += await self._apply(step)
        except BaseException:
            self._forget(batch.shard)
            raise
        return written

    async def _apply(self, batch: Batch) -> int:
        position = self._last.get(batch.shard)
        if position is None or not _leads_into(position, batch):
            position = await self._positions.read(batch.shard)
        while position is not None and _leads_into(position, batch):
            rest = behind(batch, position.seq)
            await self._rows.write(rest)
            advanced = await self._positions.advance(batch.shard, position, batch.through_seq)
            if advanced is not None:
                self._last[batch.shard] = advanced
                return len(rest.comments)
            # Another writer was here, or a rewind: once more, from where it stands now.
            self._forget(batch.shard)
            position = await self._positions.read(batch.shard)
        if position is None or position.epoch != batch.epoch or position.seq < batch.after_seq:
            raise OutOfStep(f"the batch follows {batch.epoch}-{batch.after_seq}, written is {position}")
        return 0

    def _forget(self, shard: int) -> None:
        self._last.pop(shard, None)
        self._rows.forget()

    async def window(self, shard: int, stream_id: str, after: Place, end_offset_ms: int, limit: int) -> Page:
        return await self._reader.window(shard, stream_id, Span(after, Place(end_offset_ms, 0, 0)), limit)

    async def recent(self, shard: int, stream_id: str, before: Place, limit: int) -> Page:
        return await self._reader.recent(shard, stream_id, Span(FIRST, before), limit)

    async def get(self, stream_id: str, offset_ms: int, comment_id: str) -> StoredComment | None:
        return await self._reader.get(stream_id, offset_ms, comment_id)


def _leads_into(position: Position, batch: Batch) -> bool:
    """Whether some of the batch follows the position, and nothing lies between."""
    return position.epoch == batch.epoch and batch.after_seq <= position.seq < batch.through_seq
