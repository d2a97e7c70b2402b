"""``python -m edge``: one edge process."""

import resource
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import trio

from edge.app import make_app
from edge.door import Door
from edge.server import Server, listen
from edge.settings import EdgeSettings
from edge.state import Edge, open_edge
from edge.tls import TlsDoor, tls_context
from livecomments.serving import write_ports
from livecomments.settings import SettingsError, load, split_address
from livecomments.telemetry import MetricsServer, configure_logging, log

_GOODBYE_S = 2.0
"""How long connections may take to end once their viewers were dismissed."""


async def _serve(settings: EdgeSettings) -> None:
    with (
        MetricsServer("EDGE_METRICS_LISTEN", settings.edge_metrics_listen) as metrics,
        trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals,
        ExitStack() as listening,
    ):
        async with open_edge(settings) as edge:
            server = Server(make_app(edge))
            listener = listening.enter_context(_listen("EDGE_LISTEN", settings.edge_listen))
            doors: list[Door | TlsDoor] = [Door(edge, listener, server.serve)]
            addresses = {"listen": _address(listener), "metrics": metrics.address}
            if settings.edge_tls_listen is not None:
                context = tls_context(settings)
                listener = listening.enter_context(_listen("EDGE_TLS_LISTEN", settings.edge_tls_listen))
                doors.append(TlsDoor(listener, context, server.serve))
                addresses["tls_listen"] = _address(listener)
            async with server.running(), trio.open_nursery() as connections:
                accepting = trio.CancelScope()
                connections.start_soon(_accept, doors, connections, accepting)
                log().info("serving", **addresses)
                if settings.ports_file is not None:
                    write_ports(settings.ports_file, **addresses)
                await anext(aiter(signals))
                accepting.cancel()
                listening.close()
                await _drain(edge, server)
                connections.cancel_scope.cancel()
    log().info("stopped")


def _listen(name: str, text: str) -> socket.socket:
    """Raises SettingsError naming the setting."""
    host, port = split_address(name, text)
    try:
        return listen(host, port)
    except OSError as error:
        raise SettingsError(f"setting LIVECOMMENTS_{name}: {text}: {error.strerror}") from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _allow_descriptors() -> None:
    """As many as the system lets us have: every viewer is one, and the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _accept(doors: Sequence[Door | TlsDoor], connections: trio.Nursery, accepting: trio.CancelScope) -> None:
    with accepting:
        async with trio.open_nursery() as nursery:
            for door in doors:
                nursery.start_soon(door.run, connections)


async def _drain(edge: Edge, server: Server) -> None:
    """Lets everyone go: no new requests, viewers closed a part at a time so that they don't come back all at once."""
    log().info("draining", viewers=edge.viewers)
    edge.is_draining = True
    await server.drain()
    await edge.dismiss_over(edge.settings.edge_drain_s)
    with trio.move_on_after(_GOODBYE_S):
        while edge.viewers:  # noqa: ASYNC110 (they end by themselves, each in its own connection)
            await trio.sleep(0.02)


def main() -> None:
    """Ends with 0 after SIGTERM or SIGINT, 2 for a bad setting."""
    settings = load(EdgeSettings)
    configure_logging("edge", settings)
    _allow_descriptors()
    try:
        with suppress(KeyboardInterrupt):
            trio.run(_serve, settings, strict_exception_groups=True)
    except* SettingsError as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        print(first, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
