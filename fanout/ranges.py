"""Parts of the log that are older than a topic's memory, read once for all who want the same at the same time."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from fanout.messages import Entry
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal

READ_S = 5.0
_AT_ONCE = 8
"""Ranges that are read, and so held in memory, at the same time."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may be asked for at once."""

    events: int
    bytes: int

    def check(self, events: int, size: int) -> None:
        """Raises Refusal(BODY_TOO_LARGE) above it."""
        if events > self.events or size > self.bytes:
            raise Refusal(Reason.BODY_TOO_LARGE, f"more than {self.events} events follow the cursor")


@dataclass(frozen=True, slots=True)
class Range:
    """The messages of one stream with ``after`` < seq <= ``through``."""

    stream_id: str
    epoch: str
    after: int
    through: int | None
    """None: up to now."""
    limit: Limit

    @property
    def cursor(self) -> Cursor:
        """Where it begins."""
        return Cursor(self.epoch, self.after)


class Past(Protocol):
    """Where ranges are read."""

    async def bound(self, wanted: Range) -> Range:
        """The same range with its end, where that is known here. Raises Refusal as ``read`` does."""

    async def read(self, wanted: Range) -> tuple[Entry, ...]:
        """All of it, oldest first.

        Raises Refusal: BODY_TOO_LARGE above the limit, BAD_CURSOR when a part may have been trimmed away or the log has
        never come to its beginning, OVERLOADED when nobody answers.
        """

    async def has_come_to(self, stream_id: str, cursor: Cursor) -> bool:
        """Whether the log has come to a cursor: one beyond its end was never given by anyone. True where nothing speaks
        against it.
        """


@dataclass(eq=False)
class _Reading:
    task: asyncio.Task[tuple[Entry, ...] | Refusal]
    readers: int = 0


class Ranges:
    """Reads ranges; the reads belong to ``tasks``."""

    def __init__(self, past: Past, tasks: asyncio.TaskGroup) -> None:
        self._past = past
        self._tasks = tasks
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._readings: dict[Range, _Reading] = {}

    async def has_come_to(self, stream_id: str, cursor: Cursor) -> bool:
        """As ``Past`` says."""
        return await self._past.has_come_to(stream_id, cursor)

    async def read(self, wanted: Range) -> tuple[Entry, ...]:
        """All of it, oldest first. Those who want the same range, with an end, share one read; it goes on while one of
        them still waits. Raises Refusal as ``Past.read`` does, OVERLOADED also when there is no answer within READ_S.
        """
        if wanted.through is None:
            wanted = await self._past.bound(wanted)
        if wanted.through is None:
            # What another one began before may end too early.
            outcome = await self._read(wanted)
        else:
            outcome = await self._share(wanted)
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def _share(self, wanted: Range) -> tuple[Entry, ...] | Refusal:
        reading = self._readings.get(wanted)
        if reading is None:
            reading = self._readings[wanted] = _Reading(self._tasks.create_task(self._read(wanted)))
        reading.readers += 1
        try:
            return await asyncio.shield(reading.task)
        finally:
            reading.readers -= 1
            if not reading.readers:
                reading.task.cancel()
                if self._readings.get(wanted) is reading:
                    del self._readings[wanted]

    async def _read(self, wanted: Range) -> tuple[Entry, ...] | Refusal:
        try:
            async with asyncio.timeout(READ_S), self._slots:
                return await self._past.read(wanted)
        except Refusal as refusal:
            return refusal
        except TimeoutError:
            return away()


def away() -> Refusal:
    """Nobody who knows the log answers."""
    return Refusal(Reason.OVERLOADED, "the log does not answer", retry_after_ms=1_000)
