"""One answer for many: identical reads under way become one. A replay that begins is asked for by thousands at once."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import trio

from edge import metrics
from livecomments.errors import Reason, Refusal

V = TypeVar("V")


@dataclass(eq=False, slots=True)
class _Flight(Generic[V]):
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    landed: trio.Event = field(default_factory=trio.Event)
    values: list[V] = field(default_factory=list)
    """The one that was read."""
    error: Exception | None = None
    waiters: int = 0


class Merger(Generic[V]):
    """Merges reads of the same key for as long as one is under way; keeps no answer after that."""

    def __init__(self, nursery: trio.Nursery) -> None:
        """The reads run in ``nursery``; when that is cancelled, those who wait are refused."""
        self._nursery = nursery
        self._flights: dict[Hashable, _Flight[V]] = {}

    async def share(self, key: Hashable, read: Callable[[], Awaitable[V]]) -> V:
        """What ``read`` returns or raises, from a read under way for the same ``key`` if there is one.

        Cancelling a call leaves the others alone; with the last one the read is cancelled.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            self._nursery.start_soon(self._fly, key, flight, read)
        else:
            metrics.merged_reads.inc()
        flight.waiters += 1
        try:
            await flight.landed.wait()
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.landed.is_set():
                # Who comes now must not join what is being cancelled.
                self._forget(key, flight)
                flight.scope.cancel()
        if flight.values:
            return flight.values[0]
        # Each raises its own: one that many raise at a time would gather the traces of all.
        raise replace(flight.error) if isinstance(flight.error, Refusal) else flight.error or _interrupted()

    async def _fly(self, key: Hashable, flight: _Flight[V], read: Callable[[], Awaitable[V]]) -> None:
        try:
            with flight.scope:
                flight.values.append(await read())
        except Exception as error:
            flight.error = error
        finally:
            self._forget(key, flight)
            # Also when the edge ends: nobody shall wait for ever.
            flight.landed.set()

    def _forget(self, key: Hashable, flight: _Flight[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


def _interrupted() -> Refusal:
    return Refusal(Reason.DRAINING, "this edge is shutting down", retry_after_ms=1_000)
