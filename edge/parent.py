"""The parent of several edge processes: it owns their sockets and watches them, and serves nobody itself.

- One listening socket for each worker, all at one port (``listen_together``): a worker that dies takes none of the
  connections that wait in its socket with it, its replacement serves them.
- SIGHUP renews the workers, one after the other. A successor starts on the same socket; once it is ready, the old
  process accepts what waits, lets its viewers go over ``EDGE_DRAIN_S``, and ends. Nobody is refused or reset. It runs
  the code that lies on disk by then, with the settings that the parent was started with.
- SIGTERM and SIGINT let all of them drain. Each closes its socket when nobody waits there any more.
- When the parent is killed, the kernel ends the workers, too.
"""

import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from socket import socket

import trio

from edge.settings import EdgeSettings
from edge.slot import Slot, Sockets
from edge.workers import Stage
from livecomments.listening import address_of, listen_in_a_row, listen_together
from livecomments.serving import write_ports
from livecomments.telemetry import log

_STOP_MARGIN_S = 10.0
"""How long a worker may take to end, over what its viewers are given: some don't take their last bytes, and on a busy
machine a process needs a while to end.
"""


def run(settings: EdgeSettings) -> int:
    """Serves with ``edge_workers`` processes until SIGTERM or SIGINT; returns the exit code.

    That is 0, or the one of a worker that could not even start the first time. Raises SettingsError.
    """
    with ExitStack() as opening:
        folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="livecomments-edge-")))
        sockets = _listen(settings)
        for each in sockets:
            for raw in (*each.entrances, each.metrics):
                opening.enter_context(raw)
        return trio.run(_Parent(settings, folder, sockets).main, strict_exception_groups=True)


def _listen(settings: EdgeSettings) -> list[Sockets]:
    count = settings.edge_workers
    plain = listen_together("EDGE_LISTEN", settings.edge_listen, count)
    tls: list[socket | None] = [None] * count
    if settings.edge_tls_listen is not None:
        tls = [*listen_together("EDGE_TLS_LISTEN", settings.edge_tls_listen, count)]
    metrics = listen_in_a_row("EDGE_METRICS_LISTEN", settings.edge_metrics_listen, count)
    return [Sockets(*each) for each in zip(plain, tls, metrics, strict=True)]


class _Parent:
    """One run, from the first worker to the last."""

    def __init__(self, settings: EdgeSettings, folder: Path, sockets: Sequence[Sockets]) -> None:
        self._settings = settings
        self._folder = folder
        self._sockets = sockets
        self._slots: list[Slot] = []
        self._is_renewing = False
        self._exit_code = 0
        self._stop_s = settings.edge_drain_s + _STOP_MARGIN_S

    async def main(self) -> int:
        """Returns the exit code; no worker survives it."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            try:
                async with trio.open_nursery() as watching:
                    self._slots = [
                        Slot(number, self._folder, sockets, watching, self._write_ports)
                        for number, sockets in enumerate(self._sockets)
                    ]
                    async with trio.open_nursery() as living:
                        living.start_soon(self._heed, signals, living)
                        await self._open(living)
                    if self._exit_code == 0:
                        await self._drain()
                    watching.cancel_scope.cancel()
            finally:
                for slot in self._slots:
                    slot.kill()
        log().info("stopped")
        return self._exit_code

    async def _open(self, living: trio.Nursery) -> None:
        for slot in self._slots:
            first = slot.current
            if not await first.reaches(Stage.SERVING):
                self._exit_code = max(first.child.exit_code or 1, 1)
                log().error("worker could not start", worker=first.name)
                living.cancel_scope.cancel()
                return
        for slot in self._slots:
            living.start_soon(slot.keep)
        self._write_ports()
        log().info("serving", listen=address_of(self._sockets[0].plain), workers=len(self._slots))

    async def _heed(self, signals: AsyncIterator[int], living: trio.Nursery) -> None:
        async for number in signals:
            if number != signal.SIGHUP:
                living.cancel_scope.cancel()
            elif self._is_renewing:
                log().warning("the workers are being renewed already")
            else:
                living.start_soon(self._renew)

    async def _renew(self) -> None:
        """One after the other, so that only one worker's viewers at a time look for another place."""
        self._is_renewing = True
        log().info("renewing the workers")
        try:
            for slot in self._slots:
                if not await slot.renew(self._stop_s):
                    log().error("renewal given up: the other workers stay as they are", worker=slot.number)
                    return
            log().info("the workers are renewed")
        finally:
            self._is_renewing = False

    async def _drain(self) -> None:
        log().info("draining")
        # A socket is closed when its last copy is: the workers close theirs when nobody waits there any more.
        for sockets in self._sockets:
            for entrance in sockets.entrances:
                entrance.close()
        async with trio.open_nursery() as leaving:
            for slot in self._slots:
                leaving.start_soon(slot.stop, self._stop_s)

    def _write_ports(self) -> None:
        if self._settings.ports_file is None:
            return
        first = self._sockets[0]
        addresses = {"listen": address_of(first.plain), "metrics": address_of(first.metrics)}
        if first.tls is not None:
            addresses["tls_listen"] = address_of(first.tls)
        write_ports(self._settings.ports_file, **addresses, workers=[slot.facts() for slot in self._slots])
