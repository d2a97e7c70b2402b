"""Viewers that do no good."""

import socket
import struct
from contextlib import suppress

from tests.crowd.members import Restless, Viewer
from tests.crowd.wire import Way


class Hostile(Viewer, Restless):
    """It acts by itself, and does not care what it is shown."""

    def __init__(self, way: Way, number: int) -> None:
        super().__init__(way, number)
        # Each at another time.
        self._ticks = number

    def is_time(self, every: int) -> bool:
        """True once in so many calls."""
        self._ticks += 1
        return self._ticks % every == 0


class Resetting(Hostile):
    """Watches for two seconds, and cuts the connection with a RST."""

    def tick(self) -> None:
        if self.is_time(every=40):
            assert self.connection is not None
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.end()


class HalfClosing(Hostile):
    """Says that it has nothing more to send once the answer begins, and reads on."""

    def begin(self, connection: socket.socket, stream: str) -> None:
        self._is_half = False
        super().begin(connection, stream)

    def hear(self) -> None:
        if self.read() and not self._is_half:
            assert self.connection is not None
            self._is_half = True
            with suppress(OSError):  # cut meanwhile
                self.connection.shutdown(socket.SHUT_WR)


class Stalling(Hostile):
    """One for which the kernels hold little, so that the edge soon has to.

    It can't see that it was cut, behind all that it has not read: after 25 seconds it tries anew.
    """

    events = 0

    def prepare(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # The other side's buffer grows with the size of a segment, which is 64 KiB within one machine.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)

    def hear(self) -> None:
        """It waits for nothing: the connection was lost."""
        self.end()

    def tick(self) -> None:
        if self.is_time(every=500):
            self.end()


class Frozen(Stalling):
    """Asks, and reads nothing."""


class Dribbling(Stalling):
    """Sends its request one byte at a time, every other one at once, and reads one byte at a time."""

    def ask(self, request: bytes) -> None:
        self._unsent = request
        if self.number % 2:
            self._unsent = b""
            super().ask(request)

    def tick(self) -> None:
        super().tick()
        if self.connection is None:
            return
        try:
            if self._unsent:
                self.connection.send(self._unsent[:1])
                self._unsent = self._unsent[1:]
            elif not self.connection.recv(1):
                self.end()
        except BlockingIOError:
            pass
        except ConnectionError:
            self.end()
