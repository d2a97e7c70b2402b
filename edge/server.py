"""Hypercorn's connections on our own listening socket."""

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Event, RawData, Updated
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from quart import has_websocket_context, request, websocket
from quart_trio import QuartTrio
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage

from livecomments.telemetry import log

ABORT = "livecomments.abort"
"""ASGI extension: cuts the request's connection, whatever waits on it."""
HAND_OFF = "livecomments.hand_off"
"""ASGI extension: gives the request's connection away. Only where its bytes are plain HTTP/1.1."""
TAKE_OVER = "livecomments.take_over"
"""ASGI extension: the same for the opening of a WebSocket, which its new owner answers, and reads from then on."""
HEAD_MAX_BYTES = 16 * 1024
KEEP_ALIVE_S = 75
_REQUEST_S = 5
"""How long a connection may take to send its first request while the process drains."""
_WRITE_S = 60
"""How long a peer may take for one piece of a response, 256 KiB at most of a feed. Hypercorn would wait for ever."""


class Connection(TCPServer):
    """One of Hypercorn's connections, which a request may cut or take over."""

    _is_handed_off = False
    _is_read_out = False
    _is_new = True

    async def run(self) -> None:
        """To its end or its hand-off."""
        handle = self.app

        async def with_extensions(scope: Any, *rest: Any) -> None:
            extensions = scope.setdefault("extensions", {})
            extensions[ABORT] = self.abort
            # TLS and HTTP/2 frame each viewer's bytes in their own way; HTTP/1.0 knows no chunks.
            is_plain = scope["http_version"] == "1.1" and not isinstance(cast("object", self.stream), trio.SSLStream)
            if scope["type"] == "websocket":
                opening: WSStream = rest[1].__self__
                unframe(opening)
                if is_plain:
                    extensions[TAKE_OVER] = partial(self.take_over, opening)
            elif is_plain:
                extensions[HAND_OFF] = self.hand_off
            await handle(scope, *rest)

        self.app = cast("Any", with_extensions)
        self._life = trio.CancelScope()
        with self._life:
            await super().run()

    def hand_off(self) -> int | None:
        """The connection as a descriptor of its own, for its new owner to write to and to close.

        From now on Hypercorn writes nothing more to it: not the end of the response, and no FIN. None, and nothing has
        changed, when the peer has gone meanwhile, or when there are no descriptors left.
        """
        try:
            fd = os.dup(self.stream.socket.fileno())
        except OSError:
            return None
        self._is_handed_off = True
        return fd

    def take_over(self, opening: WSStream) -> int | None:
        """The same for the opening of a WebSocket that was not answered yet; None also when Hypercorn has refused it.

        Hypercorn's copy of the socket is closed at once, so that nothing of what comes is read by it: a client waits
        for the answer before it sends frames.
        """
        if opening.closed:
            return None
        fd = self.hand_off()
        if fd is not None:
            self.stream.socket.close()
        return fd

    async def protocol_send(self, event: Event) -> None:
        """What Hypercorn's protocol has to say to this connection."""
        if self._is_handed_off:
            if not isinstance(event, RawData):
                # The response has ended. Hypercorn would read on for the next request: its copy of the socket goes.
                await self.stream.aclose()
        elif isinstance(event, RawData):
            await self._write(event.data)
        elif not isinstance(event, Updated):
            await super().protocol_send(event)
        elif not self._is_read_out:
            # Shielded: the end of a request cancels its tasks, of which we may be one (quart-trio 0.12), and the
            # connection would stay open for as long as its client does: for ever where that is lost without a word.
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)

    async def _write(self, data: bytes) -> None:
        try:
            async with self.send_lock:
                # Half of a response is none.
                with trio.fail_after(_WRITE_S) as writing:
                    writing.shield = True
                    await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError, trio.TooSlowError):
            # The peer has gone, or another task is closing: nothing can be said any more. Hypercorn tells the request,
            # but where another one came behind it, its reader would wait for this one's end for ever.
            self._life.cancel()

    async def _idle_timeout(self) -> None:
        if self._is_new:
            # Accepted just before a drain, perhaps: its request is there, and Hypercorn would close on it unread.
            self._is_new = False
            await trio.sleep(_REQUEST_S)
        await super()._idle_timeout()

    async def _read_data(self) -> None:
        await super()._read_data()
        # No request can come any more. Hypercorn would hold the socket for as long as an idle client may think.
        self._is_read_out = True
        await self.idle_task.stop()

    async def _close(self) -> None:
        # Shielded: the disconnect that comes before this cancels the request's own tasks, one of which we may be, and
        # the connection would stay open for ever (quart-trio 0.12). Nothing in here waits for the peer.
        with trio.CancelScope(shield=True):
            if self._is_handed_off:
                # Without the shutdown that a close begins with: it would end the new owner's connection.
                await self.stream.aclose()
            else:
                await super()._close()

    def abort(self) -> None:
        """Cuts the connection: a send that waits for a stalled reader fails at once."""
        stream: trio.abc.Stream = self.stream
        transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        with suppress(OSError):
            cast("trio.SocketStream", transport).socket.shutdown(socket.SHUT_RDWR)


class Unframed:
    """In place of wsproto's connection: a WebSocket's frames pass through Hypercorn as they are, both ways.

    Hypercorn itself answers a malformed frame by no more than a cut, and inflates whatever a client has deflated. Our
    own frames and reader serve every way in alike.
    """

    state = ConnectionState.OPEN

    def __init__(self) -> None:
        self._received: list[bytes] = []

    def receive_data(self, data: bytes) -> None:
        """What the client sends."""
        self._received.append(data)

    def events(self) -> Iterator[BytesMessage]:
        """The same, as the application gets it."""
        received, self._received = self._received, []
        for data in received:
            yield BytesMessage(data)

    def send(self, event: object) -> bytes:
        """What the application sends; the frames that Hypercorn would add are left out."""
        return bytes(event.data) if isinstance(event, BytesMessage) else b""


def unframe(opening: WSStream) -> None:
    """Makes a WebSocket one of bytes, once it is accepted: the application reads and writes its frames itself."""
    handshake = opening.handshake
    accept = handshake.accept

    def accept_unframed(*arguments: Any) -> tuple[int, list[tuple[bytes, bytes]], Unframed]:
        status, headers, _ = accept(*arguments)
        return status, headers, Unframed()

    # An extension would be a contract about frames, too.
    handshake.extensions = None
    handshake.accept = cast("Any", accept_unframed)  # type: ignore[method-assign]


def abort_connection() -> Callable[[], None]:
    """What cuts the current request's connection."""
    return cast("Callable[[], None]", _extensions()[ABORT])


def hand_off_connection() -> Callable[[], int | None] | None:
    """What gives the current request's connection away (Connection.hand_off); None where that can't be done."""
    return cast("Callable[[], int | None] | None", _extensions().get(HAND_OFF))


def take_over_connection() -> Callable[[], int | None] | None:
    """The same for the opening of a WebSocket (Connection.take_over)."""
    return cast("Callable[[], int | None] | None", _extensions().get(TAKE_OVER))


def _extensions() -> Any:
    return (websocket if has_websocket_context() else request).scope["extensions"]


class Server:
    """Hypercorn's part: serves an application on the connections that it is given."""

    def __init__(self, app: QuartTrio) -> None:
        self._config = Config()
        self._config.include_server_header = False
        self._config.h11_max_incomplete_size = HEAD_MAX_BYTES
        self._config.keep_alive_timeout = KEEP_ALIVE_S
        self._config.accesslog = None
        self._app = ASGIWrapper(cast("Any", app))
        self._context = WorkerContext(None)
        self._inner_context = WorkerContext(None)
        self._state: dict[str, Any] = {}
        self._open: set[Connection] = set()

    @property
    def connections(self) -> int:
        """How many are open here."""
        return len(self._open)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The application is started up for as long as the context is open."""
        lifespan = Lifespan(self._app, self._config, self._state)
        async with trio.open_nursery() as nursery:
            await nursery.start(lifespan.handle_lifespan)
            await lifespan.wait_for_startup()
            yield
            await lifespan.wait_for_shutdown()
            nursery.cancel_scope.cancel()

    async def serve(self, stream: trio.abc.Stream) -> None:
        """One connection, to its end or its hand-off. Whatever comes over it, it takes no other with it."""
        connection = self._connection(stream, self._context)
        self._open.add(connection)
        try:
            await _run(connection)
        finally:
            self._open.discard(connection)

    async def serve_inside(self, stream: trio.abc.HalfCloseableStream) -> None:
        """The same for one of another process, which is answered also after ``drain``."""
        await _run(self._connection(stream, self._inner_context))

    def _connection(self, stream: trio.abc.Stream, context: WorkerContext) -> Connection:
        return Connection(self._app, self._config, context, self._state, cast("Any", stream))

    async def drain(self) -> None:
        """Closes idle connections; requests under way go on, and those of new connections are answered."""
        await self._context.terminated.set()

    def abort(self) -> None:
        """Cuts all connections that are left: a peer that does not read would hold its own for long."""
        for connection in self._open:
            connection.abort()


async def _run(connection: Connection) -> None:
    try:
        await connection
    except* Exception as errors:
        log().error("a connection failed", exc_info=errors)
