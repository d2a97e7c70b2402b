"""The long calls that are open, so that all of them can be ended, even those whose caller does not read."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from livecomments.errors import Refusal
from livecomments.telemetry import log

Write = Callable[[bytes], Awaitable[None]]
"""``context.write``: returns when grpc has room for more."""


class LongCall(ABC):
    """A Watch or a Relay. It ends when ``end`` is called, by whomever, even while a write to a slow caller hangs."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._ending: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()

    def end(self, refusal: Refusal | None = None) -> None:
        """Ends the call, with a status when there is a refusal. The first word counts."""
        if not self._ending.done():
            self._ending.set_result(refusal)

    async def run(self) -> None:
        """Works until the call ends; raises the Refusal that it ends with. What the call holds is let go by then."""
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(self._work())
            refusal = await self._ending
            work.cancel()
        if refusal is not None:
            raise refusal

    @abstractmethod
    async def _work(self) -> None:
        """What the call does; it must call ``end`` itself when it is through, and is cancelled after that."""

    async def _give(self, message: bytes) -> None:
        """Writes to the caller. When that is gone the call ends, and this waits for its cancellation."""
        try:
            await self._write(message)
        except Exception as error:
            # grpc.aio has no one exception for this: UsageError, InternalError, InvalidStateError.
            log().debug("a caller went away", error=repr(error))
            self.end()
            await asyncio.get_running_loop().create_future()


class OpenCalls:
    """All long calls of this process."""

    def __init__(self) -> None:
        self._calls: set[LongCall] = set()
        self._refusal: Refusal | None = None

    def check(self) -> None:
        """Raises the Refusal that ``end_all`` was given."""
        if self._refusal is not None:
            raise self._refusal

    @contextmanager
    def enter(self, call: LongCall) -> Iterator[None]:
        """Counts a call for as long as the context is open."""
        self._calls.add(call)
        try:
            yield
        finally:
            self._calls.remove(call)

    def end_all(self, refusal: Refusal) -> None:
        """Ends every call; ``check`` refuses those to come."""
        self._refusal = refusal
        for call in list(self._calls):
            call.end(refusal)
