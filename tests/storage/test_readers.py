"""Reads of a SQLite file: bounded, interrupted when nobody waits any more, and none of them holds all of the others."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.readers import Readers
from storage.store import StoreUnavailable

pytestmark = pytest.mark.anyio

READERS = 2
WAITING = 3
_ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
async def readers(tmp_path: Path) -> AsyncIterator[Readers]:
    connections = [
        sqlite3.connect(tmp_path / "file.db", isolation_level=None, check_same_thread=False) for _ in range(READERS)
    ]
    readers = Readers(connections, WAITING)
    yield readers
    await asyncio.to_thread(readers.close)


def one(connection: sqlite3.Connection) -> int:
    answer: int = connection.execute("SELECT 1").fetchone()[0]
    return answer


class Disk:
    """One that takes its time: a thread that waits for it can't be interrupted."""

    def __init__(self) -> None:
        self._works = threading.Event()
        self._waiting = threading.Semaphore(0)

    def read(self, connection: sqlite3.Connection) -> int:
        self._waiting.release()
        assert self._works.wait(30)
        return one(connection)

    async def is_waited_for(self) -> None:
        """Returns once one more thread waits."""
        assert await asyncio.to_thread(self._waiting.acquire, timeout=10)

    def mend(self) -> None:
        self._works.set()


async def cancelled(*tasks: asyncio.Task[int]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=10)
    assert all(task.cancelled() for task in tasks)


async def test_a_query_that_nobody_waits_for_any_more_is_interrupted(readers: Readers) -> None:
    began = threading.Semaphore(0)

    def endless(connection: sqlite3.Connection) -> int:
        connection.set_progress_handler(began.release, 1_000)
        try:
            return int(connection.execute(_ENDLESS).fetchone()[0])
        finally:
            connection.set_progress_handler(None, 0)

    for _ in range(2 * READERS):
        reading = asyncio.create_task(readers.run(endless))
        assert await asyncio.to_thread(began.acquire, timeout=10)
        await cancelled(reading)
    # All of them are there again, and none is interrupted for what was asked before.
    async with asyncio.timeout(10):
        assert await asyncio.gather(*(readers.run(one) for _ in range(READERS))) == [1] * READERS


async def test_a_thread_that_the_disk_holds_takes_no_other_with_it(readers: Readers) -> None:
    disk = Disk()
    held = asyncio.create_task(readers.run(disk.read))
    await disk.is_waited_for()
    await cancelled(held)
    async with asyncio.timeout(10):
        for _ in range(10):
            assert await readers.run(one) == 1
    disk.mend()


async def test_while_all_threads_are_held_reads_wait_in_bounds_and_go_on_with_the_disk(readers: Readers) -> None:
    disk = Disk()
    held = [asyncio.create_task(readers.run(disk.read)) for _ in range(READERS)]
    for _ in held:
        await disk.is_waited_for()
    await cancelled(*held)
    # Those who gave up leave their place to others: nothing gathers, however long it takes.
    for _ in range(3):
        waiting = [asyncio.create_task(readers.run(one)) for _ in range(WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="too many"):
            await readers.run(one)
        await cancelled(*waiting)
    waiting = [asyncio.create_task(readers.run(one)) for _ in range(WAITING)]
    disk.mend()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*waiting) == [1] * WAITING


async def test_what_a_read_raises_reaches_its_caller_and_the_connection_goes_on(readers: Readers) -> None:
    for _ in range(2 * READERS):
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await readers.run(lambda connection: connection.execute("SELECT * FROM nowhere").fetchone())
    assert await readers.run(one) == 1
