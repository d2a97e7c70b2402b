"""The threads that read a SQLite file, each with a connection of its own."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from storage.store import StoreUnavailable

T = TypeVar("T")

_WAITING_MAX = 512
"""Above it a read is refused at once: at a few ms each these take about a second."""


class Readers:
    """As many reads at a time as there are connections; the others wait in the order in which they came.

    A connection is given to the next read once its thread is back from the last one, also when nobody waits for that
    any more: a thread that the disk holds can't be interrupted, and takes no other with it.
    """

    def __init__(self, connections: list[sqlite3.Connection], waiting_max: int = _WAITING_MAX) -> None:
        self._connections = connections
        self._idle: asyncio.Queue[sqlite3.Connection] = asyncio.Queue()
        for connection in connections:
            self._idle.put_nowait(connection)
        self._threads = ThreadPoolExecutor(len(connections), "sqlite-reader")
        self._waiting = 0
        self._waiting_max = waiting_max

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What ``work`` returns or raises, in a thread. Raises StoreUnavailable when too many wait already.

        Cancelled, it does not wait for the thread: a query that still runs is interrupted.
        """
        connection = await self._next_idle()
        loop = asyncio.get_running_loop()
        future = self._threads.submit(work, connection)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._idle.put_nowait, connection))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # It is still this read's: it becomes idle on this loop. Without a query under way this does nothing.
            connection.interrupt()
            raise

    async def _next_idle(self) -> sqlite3.Connection:
        if self._waiting >= self._waiting_max:
            raise StoreUnavailable("too many reads wait")
        self._waiting += 1
        try:
            return await self._idle.get()
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Interrupts what runs, blocks until the threads are done, and closes the connections."""
        for connection in self._connections:
            connection.interrupt()
        self._threads.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()
