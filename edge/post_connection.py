"""A connection on which comments are posted, answered without Hypercorn.

Through Hypercorn and Quart a post costs the edge 700 µs and more; here it is one read, one parse and one write around
its wait. The first request of any other kind, or form, takes the whole connection to Hypercorn, with the bytes read.
"""

import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache

import httptools
import trio

from edge.headers import Headers, Origins, shared_headers
from edge.intake import draft_of, posted_shape, take_post
from edge.plain_http import Head, date_now, given_back
from edge.problems import render, unexpected
from edge.shapes import encode
from edge.state import Edge
from livecomments.errors import Refusal
from livecomments.token_check import KeysNeeded
from livecomments.tokens import Identity
from livecomments.v1.comment_service_pb2 import PostCommentResponse

KEEP_ALIVE_S = 75.0
"""An idle connection is closed after so long; some seconds sooner when it was used before."""
REST_S = 10.0
"""How long the rest of a request may take."""
HEAD_MAX_BYTES = 16 * 1024
_RECEIVE_BYTES = 16 * 1024
_MOVED_EVERY_S = 15.0
"""Moving a deadline for each post would cost as much as parsing it."""

_LINE = re.compile(rb"POST /v1/streams/([A-Za-z0-9_-]{1,64})/comments HTTP/1\.1\r\n")
_NOT_PLAIN = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"content-encoding"})

Serve = Callable[[trio.abc.HalfCloseableStream], Awaitable[None]]


class PostConnection:
    """Reads posts from one connection, one after the other; ``serve`` takes it over when something else comes.

    Its task waits for requests alone. An answer is written by whoever brings it, so that a post wakes one task once.
    """

    def __init__(self, edge: Edge, serve: Serve) -> None:
        self._edge = edge
        self._serve = serve
        self._origins = edge.origins
        self._patience = trio.CancelScope()
        self._is_late = False
        """A part of a request is here, and the deadline is that of the rest."""
        self._answered: trio.Event | None = None
        """Will be set when the last post is answered; None when it is."""

    async def run(self, connection: socket.socket, data: bytes) -> None:
        """To the connection's end. ``data`` was read from it already."""
        self._connection = connection
        self._buffer = bytearray(data)
        self._patience.deadline = trio.current_time() + KEEP_ALIVE_S
        try:
            with self._patience:
                await self._take_posts(connection.getpeername()[0])
        except NotPlainError:
            await self._serve(given_back(connection, bytes(self._buffer)))
            return
        except OSError:
            pass
        except BaseException:
            connection.close()
            raise
        connection.close()

    async def _take_posts(self, peer: str) -> None:
        while (request := await self._next_request()) is not None:
            head, body = request
            self._answered = trio.Event()
            await self._post(head, peer, body)
            if head.headers.get(b"connection", b"").lower() == b"close":
                break
        await self._last_answer()

    async def _next_request(self) -> tuple[Head, bytes] | None:
        """The next post's head and body, taken off the buffer; None when the connection has ended.

        Raises NotPlainError, the buffer unchanged, for whatever is not a plain post.
        """
        while (end := self._buffer.find(b"\r\n\r\n") + 4) < 4:
            # Not a byte more: what Hypercorn is given must not be too much for it already.
            room = HEAD_MAX_BYTES - len(self._buffer)
            if room <= 0:
                await self._last_answer()
                raise NotPlainError
            if not await self._receive(room):
                return None
        # Answers go in the order of the requests.
        await self._last_answer()
        head = _plain_post(bytes(self._buffer[:end]), self._edge.settings.edge_body_max)
        size = end + int(head.headers[b"content-length"])
        while len(self._buffer) < size:
            if not await self._receive(_RECEIVE_BYTES):
                return None
        body = bytes(self._buffer[end:size])
        del self._buffer[:size]
        if self._is_late:
            self._is_late = False
            self._patience.deadline = trio.current_time() + KEEP_ALIVE_S
        return head, body

    async def _receive(self, most: int) -> bool:
        """Waits for more; False when the peer has ended. What takes too long cancels ``_patience``."""
        self._move_deadline()
        while True:
            await trio.lowlevel.wait_readable(self._connection)
            with suppress(BlockingIOError):
                data = self._connection.recv(most)
                self._buffer += data
                return bool(data)

    def _move_deadline(self) -> None:
        now = trio.current_time()
        if self._buffer and not self._is_late:
            self._is_late = True
            self._patience.deadline = now + REST_S
        elif not self._buffer and self._patience.deadline < now + KEEP_ALIVE_S - _MOVED_EVERY_S:
            self._patience.deadline = now + KEEP_ALIVE_S

    async def _last_answer(self) -> None:
        # Waiting for what has happened would pass through the scheduler all the same.
        if self._answered is not None and not self._answered.is_set():
            await self._answered.wait()

    async def _post(self, head: Head, peer: str, body: bytes) -> None:
        """Waits for nothing but the key of a token, if that has to be fetched."""
        edge, origin = self._edge, head.text(b"origin")

        def answer(outcome: PostCommentResponse | Refusal) -> None:
            self._send(_response(outcome, origin, self._origins))

        try:
            author = await self._author(head)
            address = edge.proxies.viewer(head.text(edge.proxies.header.encode())) or peer
            key = head.text(b"idempotency-key")
            stream_id = head.target.split(b"/", 4)[3].decode()
            take_post(edge, author, address, stream_id, draft_of(key, body), answer=answer)
        except Refusal as refusal:
            answer(refusal)
        except Exception as error:
            answer(unexpected(error, head.target.decode("latin-1")))

    async def _author(self, head: Head) -> Identity:
        authorization = self._edge.credentials.for_changing(head.asking())
        try:
            return self._edge.authenticator.identify(authorization)
        except KeysNeeded:
            await self._edge.authenticator.bring_keys(authorization)
            return self._edge.authenticator.identify(authorization)

    def _send(self, data: bytes) -> None:
        """Whoever does not even take what fits into its socket's buffer, some hundred answers, is cut off."""
        assert self._answered is not None
        self._answered.set()
        try:
            is_taken = self._connection.send(data) == len(data)
        except OSError:
            is_taken = False
        if not is_taken or self._edge.is_draining:
            with suppress(OSError):
                # Its task reads the end then.
                self._connection.shutdown(socket.SHUT_RDWR)


class NotPlainError(Exception):
    """Not a post in its plainest form."""


def _plain_post(data: bytes, body_max: int) -> Head:
    head = Head()
    parser = httptools.HttpRequestParser(head)
    if _LINE.match(data) is None:
        raise NotPlainError
    try:
        parser.feed_data(data)
    except httptools.HttpParserError:
        raise NotPlainError from None
    length = head.headers.get(b"content-length", b"")
    if (
        head.repeated
        or b"host" not in head.headers
        or not length.isdigit()
        or int(length) > body_max
        or head.headers.keys() & _NOT_PLAIN
    ):
        raise NotPlainError
    return head


def _response(outcome: PostCommentResponse | Refusal, origin: str | None, origins: Origins) -> bytes:
    if isinstance(outcome, Refusal):
        status, headers, content = render(outcome)
        head = _head(status, headers + shared_headers(origin, origins), date_now())
    else:
        head, content = _accepted_head(origin, origins, date_now()), encode(posted_shape(outcome))
    return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(content), content)


@lru_cache(maxsize=256)
def _accepted_head(origin: str | None, origins: Origins, date: str) -> bytes:
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), *shared_headers(origin, origins)]
    return _head(202, headers, date)


def _head(status: int, headers: Headers, date: str) -> bytes:
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} \r\n{lines}date: {date}\r\n".encode("latin-1")
