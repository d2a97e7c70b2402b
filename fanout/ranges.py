"""Parts of the log that are older than a topic's memory, read once for all who want the same at the same time."""

import asyncio
from dataclasses import dataclass

from fanout.messages import Entry
from fanout.reader import LogReader, LogUnavailable
from livecomments.errors import Reason, Refusal
from livecomments.log import Shard

READ_S = 5.0
_AT_ONCE = 8
"""Ranges that are read, and so held in memory, at the same time."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may be asked for at once."""

    events: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Range:
    """The messages of one stream with ``after`` < seq <= ``through``."""

    shard: Shard
    stream_id: str
    after: int
    through: int
    limit: Limit


@dataclass(eq=False)
class _Reading:
    task: asyncio.Task[tuple[Entry, ...] | Refusal]
    readers: int = 0


class Ranges:
    """Reads ranges; the reads belong to ``tasks``."""

    def __init__(self, reader: LogReader, tasks: asyncio.TaskGroup) -> None:
        self._reader = reader
        self._tasks = tasks
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._readings: dict[Range, _Reading] = {}

    async def last_seq(self, shard: Shard, stream_id: str) -> int:
        """Where the stream's last message stands, as the log's leader knows it; 0 when the log holds none.

        Raises Refusal(OVERLOADED).
        """
        try:
            last = await self._reader.last(shard, stream_id)
        except LogUnavailable as error:
            raise _away() from error
        return last.seq if last is not None else 0

    async def read(self, wanted: Range) -> tuple[Entry, ...]:
        """All of it, oldest first. The read goes on while one of those who want it still waits.

        Raises Refusal: BODY_TOO_LARGE above the limit, BAD_CURSOR when a part may have been trimmed away, OVERLOADED
        when the log did not answer within READ_S.
        """
        reading = self._readings.get(wanted)
        if reading is None:
            reading = self._readings[wanted] = _Reading(self._tasks.create_task(self._read(wanted)))
        reading.readers += 1
        try:
            outcome = await asyncio.shield(reading.task)
        finally:
            reading.readers -= 1
            if not reading.readers:
                reading.task.cancel()
                if self._readings.get(wanted) is reading:
                    del self._readings[wanted]
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def _read(self, wanted: Range) -> tuple[Entry, ...] | Refusal:
        try:
            async with asyncio.timeout(READ_S), self._slots:
                return await self._read_all(wanted)
        except Refusal as refusal:
            return refusal
        except (LogUnavailable, TimeoutError):
            return _away()

    async def _read_all(self, wanted: Range) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        events, size, at = 0, 0, wanted.after
        while at < wanted.through:
            page = await self._reader.known_after(wanted.shard, wanted.stream_id, at)
            for message in page.messages:
                if message.seq <= wanted.through and message.events.events:
                    entries.append(Entry.of(message))
                    events += entries[-1].events
                    size += len(message.encoded)
            if events > wanted.limit.events or size > wanted.limit.bytes:
                raise Refusal(Reason.BODY_TOO_LARGE, f"more than {wanted.limit.events} events follow the cursor")
            if not page.messages:
                break
            at = page.messages[-1].seq
        # Only now: what was trimmed during the read counts, too.
        if wanted.after + 1 < (await self._reader.shard_state(wanted.shard)).first:
            raise Refusal(Reason.BAD_CURSOR, "the log does not reach back to the cursor any more")
        return tuple(entries)


def _away() -> Refusal:
    return Refusal(Reason.OVERLOADED, "the log does not answer", retry_after_ms=1_000)
