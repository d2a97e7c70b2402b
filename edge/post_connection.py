"""A connection on which comments are posted, answered without Hypercorn.

Through Hypercorn and Quart a post costs the edge 700 µs and more; here it is one read, one parse and one write around
its wait. The first request of any other kind, or form, takes the whole connection to Hypercorn, with the bytes read.
"""

import re
import socket
from collections.abc import Awaitable, Callable

import httptools
import trio

from edge.headers import Headers, shared_headers
from edge.intake import draft_of, take_post
from edge.plain_http import GivenBack, Head, date_now
from edge.problems import render, unexpected
from edge.shapes import encode
from edge.state import Edge
from livecomments.errors import Refusal

KEEP_ALIVE_S = 75.0
"""An idle connection is closed after so long."""
REST_S = 10.0
"""How long the rest of a request may take."""
HEAD_MAX_BYTES = 16 * 1024
_RECEIVE_BYTES = 16 * 1024

_LINE = re.compile(rb"POST /v1/streams/([A-Za-z0-9_-]{1,64})/comments HTTP/1\.1\r\n")
_NOT_PLAIN = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"content-encoding"})

Serve = Callable[[trio.abc.HalfCloseableStream], Awaitable[None]]


class PostConnection:
    """Reads posts from one connection, one after the other; ``serve`` takes it over when something else comes."""

    def __init__(self, edge: Edge, serve: Serve) -> None:
        self._edge = edge
        self._serve = serve

    async def run(self, connection: socket.socket, data: bytes) -> None:
        """To the connection's end. ``data`` was read from it already."""
        peer = connection.getpeername()[0]
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
        buffer = bytearray(data)
        try:
            while (head := await self._read_head(stream, buffer)) is not None:
                length = int(head.headers[b"content-length"])
                if not await _fill(stream, buffer, length, _RECEIVE_BYTES, REST_S):
                    break
                body = bytes(buffer[:length])
                del buffer[:length]
                await stream.send_all(await self._answer(head, peer, body))
                if head.headers.get(b"connection", b"").lower() == b"close" or self._edge.is_draining:
                    break
        except NotPlainError:
            await self._serve(GivenBack(stream, bytes(buffer)))
            return
        except (trio.BrokenResourceError, OSError):
            pass
        await stream.aclose()

    async def _read_head(self, stream: trio.SocketStream, buffer: bytearray) -> Head | None:
        """The next request's head, taken off the buffer; None when the connection has ended.

        Raises NotPlainError, the buffer unchanged, for whatever is not a plain post.
        """
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            # Not a byte more: what Hypercorn is given must not be too much for it already.
            room = HEAD_MAX_BYTES - len(buffer)
            if room <= 0:
                raise NotPlainError
            if not await _fill(stream, buffer, len(buffer) + 1, room, REST_S if buffer else KEEP_ALIVE_S):
                return None
        head = _plain_post(bytes(buffer[: end + 4]), self._edge.settings.edge_body_max)
        del buffer[: end + 4]
        return head

    async def _answer(self, head: Head, peer: str, body: bytes) -> bytes:
        edge = self._edge
        match = _LINE.match(b"POST %b HTTP/1.1\r\n" % head.target)
        assert match is not None
        try:
            author = edge.authenticator.identify(head.text(b"authorization"))
            address = edge.proxies.viewer(head.text(edge.proxies.header.encode())) or peer
            key = head.text(b"idempotency-key")
            posted = await take_post(edge, author, address, match[1].decode(), lambda: draft_of(key, body))
        except Refusal as refusal:
            status, headers, content = render(refusal)
        except Exception as error:
            status, headers, content = render(unexpected(error, head.target.decode("latin-1")))
        else:
            headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
            status, content = 202, encode(posted)
        headers += shared_headers(head.text(b"origin"), edge.origins)
        return _response(status, headers, content)


class NotPlainError(Exception):
    """Not a post in its plainest form."""


async def _fill(stream: trio.SocketStream, buffer: bytearray, size: int, most: int, timeout_s: float) -> bool:
    """Reads, ``most`` bytes at a time, until the buffer holds ``size``; False when the peer ends or takes too long."""
    with trio.move_on_after(timeout_s):
        while len(buffer) < size:
            data = await stream.receive_some(most)
            if not data:
                return False
            buffer += data
        return True
    return False


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


def _response(status: int, headers: Headers, content: bytes) -> bytes:
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {status} \r\n{lines}content-length: {len(content)}\r\ndate: {date_now()}\r\n\r\n"
    return head.encode("latin-1") + content
