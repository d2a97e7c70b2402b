"""From asyncio to scylla-driver's threads and back.

The driver answers on a thread of its own, and swallows what a callback raises there. So a callback does nothing but
put the answer down and wake the event loop, once for all answers that have come by then.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from cassandra.cluster import Session
from cassandra.query import Statement

from storage.store import StoreUnavailable

T = TypeVar("T")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came for a request: rows, or an error."""

    future: "asyncio.Future[list[Row]]"
    rows: list[Row]
    error: Exception | None = None


class Bridge:
    """Runs statements of one execution profile, which gives each its deadline. Belongs to the loop it was made on."""

    def __init__(self, session: Session, profile: str, under_way_max: int, waiting_max: int) -> None:
        """At most ``under_way_max`` statements are with the driver, at most ``waiting_max`` wait to be."""
        self._session = session
        self._profile = profile
        self._waiting_max = waiting_max
        self._waiting = 0
        self._slots = asyncio.Semaphore(under_way_max)
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._answers: list[_Answer] = []

    async def run(self, statement: Statement) -> list[Row]:
        """The rows that the database answers with; none for a plain write.

        Raises StoreUnavailable for whatever the driver says. Cancelled before the statement has left, it never does;
        after that it may still happen, and takes its place until it is answered.
        """
        if self._waiting >= self._waiting_max:
            raise StoreUnavailable("too many statements wait")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        future: asyncio.Future[list[Row]] = self._loop.create_future()
        try:
            response = self._session.execute_async(statement, execution_profile=self._profile)
        except BaseException:
            self._slots.release()
            raise
        response.add_callbacks(
            lambda rows: self._put_down(_Answer(future, rows or [])),
            lambda error: self._put_down(_Answer(future, [], error)),
        )
        return await future

    async def run_each(self, statements: Iterable[Statement], at_once: int) -> None:
        """Runs all, ``at_once`` of them at a time and in no order; the first failure cancels the rest.

        Takes one from ``statements`` when there is room for it.
        """
        rest = iter(statements)
        await together(self._run_all(rest) for _ in range(at_once))

    async def _run_all(self, statements: Iterator[Statement]) -> None:
        for statement in statements:
            await self.run(statement)

    def _put_down(self, answer: _Answer) -> None:
        """Called by the driver, mostly in its thread."""
        with self._lock:
            self._answers.append(answer)
            if len(self._answers) > 1:
                return  # the loop has been woken, and did not come yet
        # A closed loop has nobody left that waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            answers, self._answers = self._answers, []
        for answer in answers:
            self._slots.release()
            if answer.future.done():
                continue  # nobody waits any more
            if answer.error is None:
                answer.future.set_result(answer.rows)
            else:
                failure = StoreUnavailable(f"{type(answer.error).__name__}: {answer.error}")
                failure.__cause__ = answer.error
                answer.future.set_exception(failure)


async def together(reads: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of them return, in their order; the first failure cancels the others and is raised itself."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(read) for read in reads]
    except BaseExceptionGroup as failures:
        first = failures.exceptions[0]
        raise first from first.__cause__
    return [task.result() for task in running]
