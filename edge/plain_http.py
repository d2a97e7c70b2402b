"""Plain HTTP/1.1 as the door sees it: heads, dates, and connections whose first bytes were read already."""

import re
import socket
import time
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import parse_qs

import httptools
import trio

from edge.credentials import Asking

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)
_VERSION = b" HTTP/1.1\r\n"
_NOT_PLAIN = frozenset({b"transfer-encoding", b"expect"})


class GivenBack(trio.abc.HalfCloseableStream):
    """A connection that begins with bytes which the door has read already."""

    def __init__(self, stream: trio.SocketStream, data: bytes) -> None:
        self._stream = stream
        self._data = data

    @property
    def socket(self) -> trio.socket.SocketType:
        """The connection itself, as a SocketStream has it."""
        return self._stream.socket

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Those bytes first, then what comes."""
        if not self._data:
            return await self._stream.receive_some(max_bytes)
        await trio.lowlevel.checkpoint()
        count = max_bytes or len(self._data)
        data, self._data = self._data[:count], self._data[count:]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the connection's own."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the connection's own."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """As the connection's own."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """As the connection's own."""
        await self._stream.aclose()


class Head:
    """A request's head, as httptools tells it."""

    __slots__ = ("body", "headers", "is_complete", "repeated", "target")

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.repeated = False
        self.is_complete = False

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        name, headers = name.lower(), self.headers
        if name in headers:
            self.repeated = True
        headers[name] = value

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.is_complete = True

    def text(self, name: bytes) -> str | None:
        return text_of(self.headers.get(name))

    def asking(self) -> Asking:
        """What it says of who sends it."""
        return Asking(self.text(b"authorization"), self.text(b"cookie"), self.text(b"origin"), self.text(b"host"))

    @property
    def path(self) -> bytes:
        return self.target.partition(b"?")[0]

    def query(self) -> dict[str, list[str]]:
        return query_of(self.target.partition(b"?")[2])


def text_of(value: bytes | None) -> str | None:
    """A header's value."""
    return None if value is None else value.decode("latin-1")


def query_of(part: bytes) -> dict[str, list[str]]:
    """A target's query, as it came."""
    # Most have none, and parse_qs takes 3 µs to find nothing.
    return parse_qs(part.decode("latin-1"), keep_blank_values=True) if part else {}


def plain_request(data: bytes) -> Head | None:
    """The one complete HTTP/1.1 request that the bytes are, in its plainest form and with nothing behind it."""
    end = data.find(b"\r\n\r\n") + 4
    head = Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # the head is complete
    except httptools.HttpParserError:
        return None
    length = head.headers.get(b"content-length", b"0")
    is_plain = (
        head.is_complete
        and not head.repeated
        and data.startswith(_VERSION, data.find(b" ") + 1 + len(head.target))
        and b"host" in head.headers
        and _NOT_PLAIN.isdisjoint(head.headers)
        and length.isdigit()
        and end + int(length) == len(data)
    )
    return head if is_plain else None


def size_of(data: bytes) -> int | None:
    """How long the request is that the bytes begin with; None when its head is not complete, or does not say so."""
    end = data.find(b"\r\n\r\n")
    found = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
    if found is None or _EXPECT.search(data, 0, end + 2) is not None:
        return None
    return end + 4 + int(found[1])


def given_back(connection: socket.socket, data: bytes) -> GivenBack:
    """A fresh connection, of which ``data`` was read."""
    return GivenBack(trio.SocketStream(trio.socket.from_stdlib_socket(connection)), data)


def date_now() -> str:
    """The Date header's value."""
    return _date(int(time.time()))


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
