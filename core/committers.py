"""The committers of this process: made on demand, retired when idle, one for each stream at most."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from core.backlog import Backlog
from core.commit import Committer
from core.ledger import ended
from core.metrics import COMMITTERS
from core.repeats import Repeats
from core.requests import REMEMBERED_MS
from core.unavailable import draining
from livecomments.registry import StreamDirectory
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, Stream

IDLE_S = 60.0
_SWEEP_S = 0.25
_SETTLE_S = 2.0

Make = Callable[[Stream, int, Backlog, Repeats], Committer]
"""Makes a committer for a stream, given the registry's revision of it."""


class Committers:
    """Finds the committer of a stream. Open with ``open_committers()``."""

    def __init__(self, directory: StreamDirectory, make: Make, tasks: asyncio.TaskGroup) -> None:
        self._directory = directory
        self._make = make
        self._tasks = tasks
        self.backlog = Backlog()
        self._repeats = Repeats(tasks, self.backlog)
        self._committers: dict[str, Committer] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._is_draining = False
        COMMITTERS.set_function(lambda: len(self._committers))

    def drain(self) -> None:
        """From now on everything new is refused with DRAINING; what waits is committed."""
        self._is_draining = True

    def known(self, stream_id: str) -> Committer | None:
        """The committer of a stream that this process knows, None for any other.

        Raises Refusal: DRAINING; STREAM_ENDED for one that ended so long ago that no repetition can come for it.
        """
        committer = self._running(stream_id)
        if committer is not None:
            return committer
        stream = self._directory.registry.get(stream_id)
        return None if stream is None else self.for_posts(stream)

    async def find(self, stream_id: str) -> Committer:
        """Like ``known``; a stream that is not in memory is read from the registry's bucket.

        Raises Refusal: STREAM_NOT_FOUND and OVERLOADED, too.
        """
        return self._running(stream_id) or self.of(await self._directory.find(stream_id))

    def for_posts(self, stream: Stream) -> Committer:
        """The committer of a stream that was looked up before; raises Refusal as ``known``."""
        if stream.state == STREAM_STATE_ENDED and stream.ended_at_ms < time.time() * 1000 - REMEMBERED_MS:
            raise ended()
        return self.of(stream)

    def of(self, stream: Stream) -> Committer:
        """The same for changes, which an ended stream may still see; raises Refusal(DRAINING)."""
        stream_id = stream.stream_id
        committer = self._running(stream_id)
        if committer is None:
            # Of one moment, so that a compare-and-set on it means what it says.
            stream = self._directory.registry.get(stream_id) or stream
            revision = self._directory.registry.revision(stream_id)
            committer = self._make(stream, revision, self.backlog, self._repeats)
            self._committers[stream_id] = committer
            self._runs[stream_id] = self._tasks.create_task(self._run(committer), name=f"committer {stream_id}")
        return committer

    def _running(self, stream_id: str) -> Committer | None:
        if self._is_draining:
            raise draining()
        return self._committers.get(stream_id)

    async def _run(self, committer: Committer) -> None:
        try:
            await committer.run()
        except Exception as error:
            # One stream's trouble is not the others'. The next post takes the stream over anew.
            log().error("a committer failed", stream=committer.stream_id, exc_info=error)
        finally:
            committer.abandon()
            if self._committers.get(committer.stream_id) is committer:
                del self._committers[committer.stream_id]
                del self._runs[committer.stream_id]

    async def sweep(self) -> None:
        """Answers those who waited too long and retires the idle, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = time.monotonic()
            for stream_id, committer in list(self._committers.items()):
                committer.expire(now)
                if committer.is_idle and now - committer.used_at > IDLE_S:
                    # Out of sight first: a post that comes before the task has ended makes a new one.
                    del self._committers[stream_id]
                    self._runs.pop(stream_id).cancel()

    async def close(self) -> None:
        """Commits what waits, for a moment; then answers the rest and ends all committers."""
        self.drain()
        await self.backlog.emptied(_SETTLE_S)
        for run in list(self._runs.values()):
            run.cancel()


@asynccontextmanager
async def open_committers(directory: StreamDirectory, make: Make) -> AsyncIterator[Committers]:
    """The committers, for as long as the context is open; leaving it commits what waits."""
    async with asyncio.TaskGroup() as tasks:
        committers = Committers(directory, make, tasks)
        sweeper = tasks.create_task(committers.sweep())
        try:
            yield committers
        finally:
            await committers.close()
            sweeper.cancel()
