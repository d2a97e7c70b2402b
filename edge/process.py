"""The life of one edge process, from its first connection to its drain."""

import resource
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import trio
from prometheus_client import REGISTRY

from edge.accept import prepare
from edge.app import make_app
from edge.door import Door
from edge.queues import QueueMetrics
from edge.server import Server
from edge.settings import EdgeSettings
from edge.state import Edge, open_edge
from edge.tls import TlsDoor, tls_context
from edge.workers import Stage, Workers
from livecomments.garbage import spare_what_is_there
from livecomments.listening import BACKLOG
from livecomments.settings import SettingsError
from livecomments.telemetry import log

_GOODBYE_S = 5.0
"""How long connections may take to end once their viewers were dismissed. Hundreds may have been accepted just before,
and on a busy machine their answers take a while.
"""

Tell = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where viewers come in. Closed by ``serve``; others may have copies."""

    plain: socket.socket
    tls: socket.socket | None

    def by_name(self) -> dict[str, socket.socket]:
        """Those that there are."""
        return {"plain": self.plain} if self.tls is None else {"plain": self.plain, "tls": self.tls}


def serve(settings: EdgeSettings, listeners: Listeners, workers: Workers, tell: Tell) -> None:
    """Serves until SIGTERM or SIGINT, then lets everyone go; ``tell`` hears of each stage. Raises SettingsError."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Every viewer is a descriptor, and the usual soft limit is 1,024.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    REGISTRY.register(QueueMetrics(listeners.by_name()))
    try:
        trio.run(_serve, settings, listeners, workers, tell, strict_exception_groups=True)
    except BaseExceptionGroup as group:
        innermost: BaseException = group
        while isinstance(innermost, BaseExceptionGroup):
            innermost = innermost.exceptions[0]
        if isinstance(innermost, SettingsError):
            raise innermost from group
        raise


async def _serve(settings: EdgeSettings, listeners: Listeners, workers: Workers, tell: Tell) -> None:
    context = None if listeners.tls is None else tls_context(settings)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals, ExitStack() as listening:
        async with open_edge(settings, workers) as edge:
            server = Server(make_app(edge))
            doors: list[Door | TlsDoor] = [Door(edge, listening.enter_context(listeners.plain), server.serve)]
            prepare(listeners.plain)
            if listeners.tls is not None and context is not None:
                doors.append(TlsDoor(listening.enter_context(listeners.tls), context, server.serve))
                prepare(listeners.tls)
            async with server.running(), trio.open_nursery() as connections:
                accepting = trio.CancelScope()
                connections.start_soon(_accept, doors, connections, accepting)
                if workers.own_address is not None:
                    inner = await _listen_inside(str(workers.own_address))
                    connections.start_soon(trio.serve_listeners, server.serve_inside, [inner])
                connections.start_soon(_tell_when_ready, edge, tell)
                spare_what_is_there()
                tell(Stage.SERVING)
                await anext(aiter(signals))
                accepting.cancel()
                for door in doors:
                    await door.take_waiting(connections)
                listening.close()
                tell(Stage.DRAINING)
                await _drain(edge, server)
                server.abort()
                connections.cancel_scope.cancel()
    log().info("stopped")


async def _accept(doors: Sequence[Door | TlsDoor], connections: trio.Nursery, accepting: trio.CancelScope) -> None:
    with accepting:
        async with trio.open_nursery() as nursery:
            for door in doors:
                nursery.start_soon(door.run, connections)


async def _listen_inside(path: str) -> trio.SocketListener:
    raw = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    await raw.bind(path)
    raw.listen(BACKLOG)
    return trio.SocketListener(raw)


async def _tell_when_ready(edge: Edge, tell: Tell) -> None:
    await edge.cores.connected.wait()
    await edge.feeds.connected.wait()
    if not edge.is_draining:
        tell(Stage.READY)


async def _drain(edge: Edge, server: Server) -> None:
    """Lets everyone go: no new requests, viewers closed a part at a time so that they don't come back all at once."""
    log().info("draining", viewers=edge.viewers)
    edge.is_draining = True
    await server.drain()
    await edge.dismiss_over(edge.settings.edge_drain_s)
    with trio.move_on_after(_GOODBYE_S):
        # They end by themselves. An HTTP/2 viewer's last bytes may still be with Hypercorn when it counts no more.
        while edge.viewers or server.connections:  # noqa: ASYNC110
            await trio.sleep(0.02)
