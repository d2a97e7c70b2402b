"""``python -m edge``: one edge process."""

import resource
import signal
import sys
from contextlib import suppress

import trio

from edge.app import make_app
from edge.door import Door
from edge.server import Server, listen
from edge.settings import EdgeSettings
from edge.state import Edge, open_edge
from livecomments.serving import write_ports
from livecomments.settings import SettingsError, load, split_address
from livecomments.telemetry import MetricsServer, configure_logging, log

_GOODBYE_S = 2.0
"""How long connections may take to end once their viewers were dismissed."""


async def _serve(settings: EdgeSettings) -> None:
    host, port = split_address("EDGE_LISTEN", settings.edge_listen)
    with (
        MetricsServer("EDGE_METRICS_LISTEN", settings.edge_metrics_listen) as metrics,
        trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals,
    ):
        async with open_edge(settings) as edge:
            try:
                listener = listen(host, port)
            except OSError as error:
                raise SettingsError(
                    f"setting LIVECOMMENTS_EDGE_LISTEN: {settings.edge_listen}: {error.strerror}"
                ) from error
            server = Server(make_app(edge))
            address = f"{host}:{listener.getsockname()[1]}"
            door = Door(edge, listener, server.serve)
            async with server.running(), trio.open_nursery() as connections:
                accepting = trio.CancelScope()
                connections.start_soon(_accept, door, connections, accepting)
                log().info("serving", listen=address, metrics=metrics.address)
                if settings.ports_file is not None:
                    write_ports(settings.ports_file, listen=address, metrics=metrics.address)
                await anext(aiter(signals))
                accepting.cancel()
                listener.close()
                await _drain(edge, server)
                connections.cancel_scope.cancel()
    log().info("stopped")


def _allow_descriptors() -> None:
    """As many as the system lets us have: every viewer is one, and the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _accept(door: Door, connections: trio.Nursery, accepting: trio.CancelScope) -> None:
    with accepting:
        await door.run(connections)


async def _drain(edge: Edge, server: Server) -> None:
    """Lets everyone go: no new requests, viewers closed a part at a time so that they don't come back all at once."""
    log().info("draining", viewers=edge.viewers)
    edge.is_draining = True
    await server.drain()
    await edge.feeds.dismiss_over(edge.settings.edge_drain_s)
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
