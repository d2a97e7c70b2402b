"""The door for TLS: what comes in here is served by Hypercorn, as HTTP/2 or HTTP/1.1.

Nothing is handed off: each viewer's bytes are encrypted by themselves, and a viewer costs what it costs Hypercorn.
Where many come, a proxy that ends TLS belongs in front; its plain connections come in through the other door.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import trio

from edge import metrics
from edge.accept import accept, as_socket, waiting
from livecomments.settings import Settings, SettingsError

HANDSHAKE_S = 10.0
"""How long a handshake may take."""
HANDSHAKES = 1_000
"""Handshakes at once; further connections wait in the kernel's queue."""
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2, of which HTTP/2 permits no others (RFC 9113, section 9.2.2)."""

Serve = Callable[[trio.abc.Stream], Awaitable[None]]


def tls_context(settings: Settings) -> ssl.SSLContext:
    """By ``tls_cert`` and ``tls_key``; raises SettingsError naming the one that does not do."""
    certificate = _file("TLS_CERT", settings.tls_cert)
    key = _file("TLS_KEY", settings.tls_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except ssl.SSLError:
        raise SettingsError(f"setting LIVECOMMENTS_TLS_CERT: {certificate}: holds no certificate (PEM)") from None
    try:
        # An encrypted key would be asked for its password on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        why = "does not belong to TLS_CERT" if error.reason == "KEY_VALUES_MISMATCH" else "holds no plain key (PEM)"
        raise SettingsError(f"setting LIVECOMMENTS_TLS_KEY: {key}: {why}") from None
    return context


class TlsDoor:
    """Accepts on a listening socket; ``serve`` takes what has shaken hands."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext, serve: Serve) -> None:
        self._listener = listener
        self._context = context
        self._serve = serve
        self._room = trio.Semaphore(HANDSHAKES, max_value=HANDSHAKES)

    async def run(self, nursery: trio.Nursery) -> None:
        """Accepts for ever; the connections run in ``nursery``."""
        while True:
            await self._room.acquire()
            nursery.start_soon(self._take, await accept(self._listener))

    async def take_waiting(self, nursery: trio.Nursery) -> None:
        """Accepts those that wait already, before the socket is closed; for HANDSHAKE_S if need be."""
        async with aclosing(waiting(self._listener)) as connections:
            async for fd in connections:
                connection = as_socket(self._listener, fd)
                await self._room.acquire()
                nursery.start_soon(self._take, connection)

    async def _take(self, connection: socket.socket) -> None:
        transport = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
        # A browser does not end TLS before it closes, and a reader that stalls could not be told anyway.
        stream = trio.SSLStream(transport, self._context, server_side=True, https_compatible=True)
        if await self._has_shaken_hands(stream):
            await self._serve(stream)
        else:
            await trio.aclose_forcefully(stream)

    async def _has_shaken_hands(self, stream: trio.SSLStream[trio.SocketStream]) -> bool:
        outcome = "too_slow"
        try:
            with trio.move_on_after(HANDSHAKE_S):
                await stream.do_handshake()
                outcome = "done"
        except trio.BrokenResourceError:
            outcome = "failed"
        finally:
            self._room.release()
        metrics.handshakes.labels(outcome).inc()
        return outcome == "done"


def _file(name: str, path: Path | None) -> Path:
    if path is None:
        raise SettingsError(f"setting LIVECOMMENTS_{name}: must be set where EDGE_TLS_LISTEN is")
    try:
        path.open("rb").close()
    except OSError as error:
        raise SettingsError(f"setting LIVECOMMENTS_{name}: {path}: {error.strerror}") from error
    return path
