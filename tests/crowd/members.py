"""Who belongs to a crowd, and the good ones among its viewers."""

import select
import socket
from array import array
from contextlib import suppress

from tests.crowd.wire import Way

_RECEIVE_BYTES = 1 << 14


class Member:
    """Someone with a connection, and a new one whenever that has ended."""

    events = select.EPOLLIN
    """What it waits for, as epoll's flags."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections = 0
        self.connection: socket.socket | None = None
        self.fault = ""
        """What was done to it that must not be."""

    def prepare(self, connection: socket.socket) -> None:
        """Sets a connection up before it is made."""

    def begin(self, connection: socket.socket, stream: str) -> None:  # noqa: ARG002 (for those who ask)
        """Takes a new connection, and asks for what it wants of the stream."""
        self.connection = connection
        self.connections += 1

    def end(self) -> None:
        """Closes its connection; a new one comes with the next tick."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def hear(self) -> None:
        """There is something to read, or the connection was lost."""
        self.read()

    def read(self) -> bytes:
        """What is there; ends the connection and gives nothing when no more can come."""
        assert self.connection is not None
        data = b""
        with suppress(ConnectionError):
            data = self.connection.recv(_RECEIVE_BYTES)
        if not data:
            self.end()
        return data


class Restless(Member):
    """One that acts by itself."""

    def tick(self) -> None:
        """A little time has passed, and it is connected."""


class Viewer(Member):
    """One that watches."""

    def __init__(self, way: Way, number: int) -> None:
        super().__init__(f"{way.name} {number}")
        self.way = way
        self.number = number
        self.cursor = ""

    def begin(self, connection: socket.socket, stream: str) -> None:
        super().begin(connection, stream)
        self.ask(self.way.request(stream, self.cursor))

    def ask(self, request: bytes) -> None:
        """Sends its request."""
        assert self.connection is not None
        self.connection.sendall(request)


class Good(Viewer):
    """Reads all, and comes back with its last id when it was cut."""

    def __init__(self, way: Way, number: int) -> None:
        super().__init__(way, number)
        self.numbers = array("I")
        """Of all comments that it was shown, in that order."""
        self.snapshots = 0
        self.is_watching = False
        """It has this connection's snapshot."""
        self._rest = b""
        self._is_past_head = False

    def begin(self, connection: socket.socket, stream: str) -> None:
        self._rest, self._is_past_head = b"", False
        super().begin(connection, stream)

    def end(self) -> None:
        self.is_watching = False
        super().end()

    def hear(self) -> None:
        data = self._rest + self.read()
        if self.connection is None:
            return
        if not self._is_past_head:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._is_past_head = True
            if not head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 101 ")):
                # On the way out: the other edge is asked next.
                self.fault = self.fault or ("" if head.startswith(b"HTTP/1.1 503 ") else head.decode())
                self.end()
                return
        self._take(data)

    def _take(self, data: bytes) -> None:
        heard = self.way.read(data)
        self._rest = heard.rest
        self.numbers.extend(heard.numbers)
        epoch, _, seq = heard.cursor.rpartition("-")
        if seq:
            self.cursor = f"{epoch or self.cursor.rpartition('-')[0]}-{seq}"
        for has_missed_nothing in heard.snapshots:
            self.snapshots += 1
            self.is_watching = True
            if not has_missed_nothing and self.snapshots > 1:
                self.fault = self.fault or f"was not told what it missed after {self.cursor}"
        if heard.is_over:
            self.end()
