"""One worker's place, and the processes that fill it one after the other."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import msgspec
import trio

from edge.workers import Place, Stage
from livecomments.backoff import Backoff
from livecomments.child import Child
from livecomments.listening import address_of
from livecomments.telemetry import log

START_S = 30.0
"""How long a process may take until it serves, and a successor until it is ready."""
_STEADY_S = 10.0
"""One that lived for so long did not fail because it can't live."""
_RECEIVE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Sockets:
    """What the parent holds open for one worker for as long as there is one. Each process has copies."""

    plain: socket
    tls: socket | None
    metrics: socket

    @property
    def entrances(self) -> Sequence[socket]:
        """Where viewers come in."""
        return [self.plain] if self.tls is None else [self.plain, self.tls]


class WorkerProcess:
    """One process; ``watch`` must be running."""

    def __init__(self, name: str, folder: Path, sockets: Sockets) -> None:
        self.name = name
        self.began = time.monotonic()
        self.reached = {stage: trio.Event() for stage in Stage}
        self._inner = folder / name
        reading, writing = os.pipe()
        self._report = trio.lowlevel.FdStream(reading)
        try:
            place = Place(
                name=name,
                folder=str(folder),
                listener=sockets.plain.fileno(),
                tls_listener=None if sockets.tls is None else sockets.tls.fileno(),
                metrics=sockets.metrics.fileno(),
                report=writing,
            )
            inherited = [*(entrance.fileno() for entrance in sockets.entrances), sockets.metrics.fileno(), writing]
            self.child = Child([*_command(), msgspec.json.encode(place).decode()], os.environ, None, inherited)
        finally:
            os.close(writing)

    async def watch(self) -> None:
        """Returns when it has ended."""
        async with trio.open_nursery() as both:
            both.start_soon(self._hear)
            await self.child.watch()
            both.cancel_scope.cancel()
        self._inner.unlink(missing_ok=True)

    async def reaches(self, stage: Stage) -> bool:
        """Waits until it has come so far; False when it ends before, or takes longer than START_S."""
        async with trio.open_nursery() as either:

            async def ends() -> None:
                await self.child.ended.wait()
                either.cancel_scope.cancel()

            either.cancel_scope.deadline = trio.current_time() + START_S
            either.start_soon(ends)
            await self.reached[stage].wait()
            either.cancel_scope.cancel()
        return self.reached[stage].is_set()

    async def _hear(self) -> None:
        async with self._report:
            text = b""
            async for data in self._report:
                *lines, text = (text + data).split(b"\n")
                for line in lines:
                    self.reached[Stage(line.decode())].set()


class Slot:
    """Worker ``number``."""

    def __init__(
        self, number: int, folder: Path, sockets: Sockets, nursery: trio.Nursery, changed: Callable[[], None]
    ) -> None:
        """``changed`` is called whenever another process serves."""
        self.number = number
        self.sockets = sockets
        self._folder = folder
        self._nursery = nursery
        self._changed = changed
        self._turn = 0
        self._running: set[WorkerProcess] = set()
        self._is_leaving = False
        self.current = self._start()

    def facts(self) -> dict[str, object]:
        """For the ports file."""
        return {
            "name": self.current.name,
            "pid": self.current.child.pid,
            "metrics": address_of(self.sockets.metrics),
            "inner": str(self._folder / self.current.name),
        }

    async def keep(self) -> None:
        """Replaces a process that dies; what waits in its socket waits for the next one. Until it is cancelled."""
        backoff = Backoff()
        while True:
            current = self.current
            await current.child.ended.wait()
            if self._is_leaving:
                return
            if current is not self.current:
                continue
            log().error("worker died", worker=current.name, how=current.child.epitaph())
            if time.monotonic() - current.began > _STEADY_S:
                backoff.reset()
            await trio.sleep(backoff.next_s())
            if current is self.current:
                self.current = self._start()
                if await self.current.reaches(Stage.SERVING):
                    self._changed()

    async def renew(self, drain_s: float) -> bool:
        """Puts a new process in the place of the current one, and lets that drain.

        False when the new one does not get ready, which leaves everything as it was.
        """
        successor = self._start()
        if not await successor.reaches(Stage.READY):
            log().error("the successor did not get ready", worker=successor.name)
            successor.child.kill()
            return False
        predecessor, self.current = self.current, successor
        self._changed()
        log().info("worker succeeded", worker=predecessor.name, by=successor.name)
        await self._stop(predecessor, drain_s)
        return True

    async def stop(self, drain_s: float) -> None:
        """Lets all of its processes drain; returns when they have ended."""
        self._is_leaving = True
        async with trio.open_nursery() as nursery:
            for process in self._running:
                nursery.start_soon(self._stop, process, drain_s)

    def kill(self) -> None:
        """Ends all of its processes at once."""
        self._is_leaving = True
        for process in self._running:
            process.child.kill()

    async def _stop(self, process: WorkerProcess, drain_s: float) -> None:
        # Before it serves, SIGTERM would end it at once, and what waits in its socket with it.
        await process.reaches(Stage.SERVING)
        if not await process.child.stop(drain_s):
            log().error("worker killed: it did not end in time", worker=process.name)

    def _start(self) -> WorkerProcess:
        process = WorkerProcess(f"{self.number}.{self._turn}", self._folder, self.sockets)
        self._turn += 1
        self._running.add(process)
        self._nursery.start_soon(self._watch, process)
        return process

    async def _watch(self, process: WorkerProcess) -> None:
        await process.watch()
        self._running.discard(process)


def _command() -> list[str]:
    # -P, if we have it: a folder of that name where the user stands is not ours.
    return [sys.executable, *(["-P"] if sys.flags.safe_path else []), "-m", "edge.worker"]
