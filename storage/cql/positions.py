"""How far each shard has been written, moved by compare-and-set alone.

Two storages may write the same shard for a while: one lost its consumer, was frozen, and wakes up. Its rows do no
harm, as they are the log's. Its position must not either: a position goes forward only from the very one behind which
the rows were written, and never from one that was taken back since.
"""

from dataclasses import dataclass

from livecomments.cursor import Cursor
from storage.cql.bridge import Bridge, Row
from storage.cql.statements import Statements


@dataclass(frozen=True, slots=True)
class Position:
    """A shard's position as the database has it."""

    epoch: str
    seq: int
    """All events up to here are written."""
    high_seq: int
    """The same, before the position was taken back; what lies between is being written again."""
    rewinds: int
    """How often it was taken back."""

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.epoch, self.seq)

    def has(self, epoch: str, seq: int) -> bool:
        """Whether an event at this place is written with all before it; those of other epochs are."""
        return epoch != self.epoch or seq <= self.high_seq


class Positions:
    """The table ``positions``. All methods raise StoreUnavailable; what was under way then may still happen."""

    def __init__(self, bridge: Bridge, statements: Statements) -> None:
        self._bridge = bridge
        self._statements = statements

    async def read(self, shard: int) -> Position | None:
        """The position after all changes that have begun, also those whose answer was lost."""
        return position_of(await self._bridge.run(self._statements.serial_position.bind((shard,))))

    async def advance(self, shard: int, position: Position, seq: int) -> Position | None:
        """Takes ``position`` forward to ``seq``; None when it has moved meanwhile."""
        high_seq = max(position.high_seq, seq)
        values = (seq, high_seq, shard, position.epoch, position.seq, position.rewinds)
        if await self._was_applied(self._statements.advance.bind(values)):
            return Position(position.epoch, seq, high_seq, position.rewinds)
        return None

    async def take_back(self, shard: int, seq: int) -> None:
        """Takes the position back to ``seq``; leaves one that stands there or before."""
        while (position := await self.read(shard)) is not None and position.seq > seq:
            values = (seq, position.rewinds + 1, shard, position.epoch, position.seq, position.rewinds)
            if await self._was_applied(self._statements.take_back.bind(values)):
                return

    async def adopt(self, shard: int, epoch: str) -> Position:
        """The position in this epoch: at its beginning, when the shard's last one was another."""
        while (position := await self.read(shard)) is None or position.epoch != epoch:
            if position is None:
                await self._bridge.run(self._statements.insert_position.bind((shard, epoch)))
            else:
                values = (epoch, position.rewinds + 1, shard, position.epoch, position.seq, position.rewinds)
                await self._bridge.run(self._statements.start_epoch.bind(values))
        return position

    async def _was_applied(self, statement: object) -> bool:
        # What follows the first column differs: Cassandra gives the columns of the condition, ScyllaDB all.
        ((applied, *_),) = await self._bridge.run(statement)
        return bool(applied)


def position_of(rows: list[Row]) -> Position | None:
    return Position(*rows[0]) if rows else None
