"""One read for many: identical reads in flight become one (a replay that starts is asked for by thousands at once)."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass(eq=False, slots=True)
class _Flight(Generic[V]):
    landed: asyncio.Future[V]
    task: asyncio.Task[None]
    waiters: int = 0


class Coalescer(Generic[V]):
    """Merges reads of the same key for as long as one is under way; keeps no answer after that."""

    def __init__(self, tasks: asyncio.TaskGroup, merged: Callable[[], None]) -> None:
        """``tasks`` owns the reads; ``merged`` is told of each call that joins a read under way."""
        self._tasks = tasks
        self._merged = merged
        self._flights: dict[Hashable, _Flight[V]] = {}

    async def read(self, key: Hashable, read: Callable[[], Awaitable[V]]) -> V:
        """What ``read`` returns or raises, from a read under way for the same ``key`` if there is one.

        Cancelling a call leaves the others alone; when the last is cancelled, so is the read.
        """
        flight = self._flights.get(key)
        if flight is None:
            landed: asyncio.Future[V] = asyncio.get_running_loop().create_future()
            flight = _Flight(landed, self._tasks.create_task(self._fly(key, landed, read)))
            self._flights[key] = flight
        else:
            self._merged()
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.landed)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.landed.done():
                # Who comes now must not join what is being cancelled.
                self._forget(key, flight.landed)
                flight.landed.cancel()
                flight.task.cancel()

    async def _fly(self, key: Hashable, landed: asyncio.Future[V], read: Callable[[], Awaitable[V]]) -> None:
        try:
            value = await read()
        except Exception as error:
            if not landed.done():
                landed.set_exception(error)
        else:
            if not landed.done():
                landed.set_result(value)
        finally:
            self._forget(key, landed)
            # Cancelled by the owner of the tasks: nobody shall wait for ever. Else it is done already.
            landed.cancel()

    def _forget(self, key: Hashable, landed: asyncio.Future[V]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.landed is landed:
            del self._flights[key]
