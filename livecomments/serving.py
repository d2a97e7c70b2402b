"""How an asyncio service runs: settings, logs, metrics, a gRPC server with health and reflection, and a clean end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from livecomments.garbage import spare_what_is_there
from livecomments.identity import Authenticator, AuthInterceptor
from livecomments.issuers import open_token_check
from livecomments.listening import listen as listen_at
from livecomments.refusals import RefusalInterceptor
from livecomments.settings import Settings, SettingsError, load, split_address
from livecomments.telemetry import MetricsServer, configure_logging, log

_PARTS_EVERY_S = 1.0
MESSAGE_MAX_BYTES = 16 * 1024 * 1024
SERVER_OPTIONS = (
    # Otherwise a second process could take the same port in silence.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
    # Edges ping four times a second, so that a frozen peer is noticed; grpc's default would call that abuse.
    ("grpc.http2.min_ping_interval_without_data_ms", 100),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # grpc 1.85 would wait a minute.
    ("grpc.http2.ping_timeout_ms", 5_000),
)


class Mounted(Protocol):
    """What a service gives to be served."""

    @property
    def names(self) -> Sequence[str]:
        """Full names of its gRPC services, for health and reflection."""

    def mount(self, server: grpc.aio.Server) -> None:
        """Adds its servicers."""

    def drain(self) -> None:
        """Refuses new work with DRAINING from now on and lets long streams end; called before the server stops."""


@runtime_checkable
class InParts(Protocol):
    """A service of which something may fail while the rest serves."""

    def parts(self) -> Mapping[str, bool]:
        """By the name under which grpc.health.v1 tells of it: is it well? Asked once a second."""


S = TypeVar("S", bound=Settings)
Open = Callable[[S], AbstractAsyncContextManager[Mounted]]


def run(name: str, settings_class: type[S], open_service: Open[S]) -> None:
    """The ``__main__`` of a service. Ends with 0 after SIGTERM or SIGINT, 2 for a bad setting, 1 for anything else.

    ``<name>_listen`` and ``<name>_metrics_listen`` of the settings say where it serves; port 0 takes a free one.
    """
    settings = load(settings_class)
    configure_logging(name, settings)
    try:
        uvloop.run(_serve(name, settings, open_service))
    except Exception as error:
        # Taken ports, unwritable folders, a NATS that is not there: one line. The rest stands at level debug.
        cause = _innermost(error)
        log().debug("could not go on", exc_info=error)
        if not isinstance(cause, (SettingsError, OSError)):
            log().error("ended by an error", exc_info=error)
        print(cause if isinstance(cause, SettingsError) else f"{name}: {cause!r}", file=sys.stderr)
        sys.exit(2 if isinstance(cause, SettingsError) else 1)


async def _serve(name: str, settings: S, open_service: Open[S]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listen: str = getattr(settings, f"{name}_listen")
    metrics_listen: str = getattr(settings, f"{name}_metrics_listen")
    with (
        open_token_check(settings) as check,
        MetricsServer(listen_at(f"{name}_metrics_listen".upper(), metrics_listen)) as metrics,
    ):
        authenticator = Authenticator(check, settings.service_token())
        async with open_service(settings) as service:
            server = grpc.aio.server(
                interceptors=[AuthInterceptor(authenticator), RefusalInterceptor()], options=SERVER_OPTIONS
            )
            service.mount(server)
            state = health.aio.HealthServicer()
            health_pb2_grpc.add_HealthServicer_to_server(state, server)
            reflection.enable_server_reflection((*service.names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
            host, port = split_address(f"{name}_listen".upper(), listen)
            try:
                port = server.add_insecure_port(f"{host}:{port}")
            except RuntimeError as error:
                raise SettingsError(f"setting LIVECOMMENTS_{name.upper()}_LISTEN: {listen} can't be bound") from error
            await server.start()
            spare_what_is_there()
            for served in ("", *service.names):
                await state.set(served, health_pb2.HealthCheckResponse.SERVING)
            address = f"{host}:{port}"
            log().info("serving", listen=address, metrics=metrics.address)
            if settings.ports_file is not None:
                write_ports(settings.ports_file, listen=address, metrics=metrics.address)
            await _tell_parts(service, state, stop)
            log().info("draining")
            await state.enter_graceful_shutdown()
            service.drain()
            await server.stop(settings.drain_s)
    log().info("stopped")


async def _tell_parts(service: Mounted, state: health.aio.HealthServicer, stop: asyncio.Event) -> None:
    """Until ``stop`` is set."""
    while not stop.is_set():
        if isinstance(service, InParts):
            for part, is_well in service.parts().items():
                serving = health_pb2.HealthCheckResponse.SERVING
                await state.set(part, serving if is_well else health_pb2.HealthCheckResponse.NOT_SERVING)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PARTS_EVERY_S if isinstance(service, InParts) else None):
                await stop.wait()


def write_ports(path: Path, **facts: object) -> None:
    """Tells a supervisor which addresses were taken, and what else JSON can say: whole or not at all."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps({**facts, "pid": os.getpid()}))
    unfinished.rename(path)


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
