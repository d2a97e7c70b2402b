"""An edge that is visited by strangers while others watch, and what must stay true."""

import select
import socket
import struct
from collections import Counter, deque
from collections.abc import Iterable
from typing import Self

from tests.fuzz.visits import Leaving, Visit
from tests.processes import eventually
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import Viewer, watch

_ANSWER_S = 0.02
"""What an answer to all that was said is waited for: it is only counted."""
_OPENED_S = 1.0
"""The same where more is to be said behind it. There may be none: what was said may be only a beginning."""


class Fuzzed:
    """A system's edge with some viewers that watch. Enter it before the first visit."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._edge = system.edge
        self.statuses: Counter[str] = Counter()
        """Of the answers that came at once."""
        self.visits = 0
        self.latest: deque[Visit] = deque(maxlen=5)
        self._checks = 0

    def __enter__(self) -> Self:
        system = self._system
        assert self._edge.popen is not None
        self._pid = self._edge.popen.pid
        self._logged = self._edge.output.stat().st_size
        self._stream = system.create_stream()
        self._cursor = system.post(self._stream, "first")["cursor"]
        self._token = system.token("stranger")
        system.client.get(f"{system.url}/livez")
        # With the first read of history the edge connects with storage, and keeps that connection: a stranger who is
        # the first would seem to leave it behind. (It is a socket of IPv6: /proc/net/tcp does not name it, tcp6 does.)
        system.replay(self._stream)
        self._descriptors = self._edge.descriptors()
        self._watching: list[Viewer] = [
            system.watch(self._stream),
            Viewer(system.url, self._stream, cursor=self._cursor),
            SocketViewer(system.url, self._stream),
        ]
        watch(self._watching, lambda: all(viewer.events for viewer in self._watching), "all watch")
        return self

    def __exit__(self, *_: object) -> None:
        for viewer in self._watching:
            viewer.disconnect()

    def visit(self, visits: Iterable[Visit]) -> None:
        """Lets them come one after the other, and looks whether all is well; fails with what is not."""
        staying: list[socket.socket] = []
        try:
            for visit in visits:
                self._visit(visit, staying)
            self.check()
        finally:
            for connection in staying:
                connection.close()

    def check(self) -> None:
        """The process lives, no error was logged, and everyone who watches is shown the next comment."""
        self._checks += 1
        text = f"undisturbed {self._checks}"
        for viewer in self._watching:
            viewer.events.clear()
        self._system.post(self._stream, text)
        watch(self._watching, lambda: all(text in viewer.texts() for viewer in self._watching), f"all see {text!r}")
        assert self._system.client.get(f"{self._system.url}/livez").status_code == 200
        assert self._edge.alive()
        assert self._edge.popen is not None
        assert self._edge.popen.pid == self._pid
        logged = self._log()
        for sign in ("Traceback", '"level": "error"', '"level": "critical"'):
            assert sign not in logged, logged[-8000:]

    def assert_nothing_is_left(self) -> None:
        """All strangers have gone, and their descriptors with them."""
        there = self._descriptors + sum(not viewer.closed for viewer in self._watching)
        eventually(lambda: self._edge.descriptors() <= there, "the strangers' descriptors are closed", timeout_s=30)

    def _log(self) -> str:
        """What the edge has said since the beginning."""
        with self._edge.output.open() as output:
            output.seek(self._logged)
            return output.read()

    def _connect(self) -> socket.socket:
        host, port = self._edge.address.split(":")
        try:
            return socket.create_connection((host, int(port)), timeout=10)
        except ConnectionError as error:
            assert self._edge.popen is not None
            code = self._edge.popen.poll()
            raise AssertionError(f"the edge takes no connections, exit code {code}: {self._log()[-8000:]}") from error

    def _visit(self, visit: Visit, staying: list[socket.socket]) -> None:
        self.visits += 1
        self.latest.append(visit)
        connection = self._connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            is_heard = self._say(connection, visit.first)
            answer = self._begun(connection, _OPENED_S if visit.then else _ANSWER_S) if is_heard else b""
            self.statuses[answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/1.1 ") else "none"] += 1
            self._say(connection, visit.then)
        finally:
            self._leave(connection, visit.leaving, staying)

    def _say(self, connection: socket.socket, pieces: Iterable[bytes]) -> bool:
        """False when the other side has had enough."""
        try:
            for piece in pieces:
                connection.sendall(self._filled(piece))
        except ConnectionError:
            return False
        return True

    def _filled(self, piece: bytes) -> bytes:
        for name, value in ((b"STREAM", self._stream), (b"TOKEN", self._token), (b"CURSOR", self._cursor)):
            piece = piece.replace(name, value.encode())
        return piece

    @staticmethod
    def _begun(connection: socket.socket, timeout_s: float) -> bytes:
        """What has come of an answer when it begins; nothing when there is none in time."""
        if not select.select([connection], [], [], timeout_s)[0]:
            return b""
        try:
            return connection.recv(65536)
        except ConnectionError:
            return b""

    @staticmethod
    def _leave(connection: socket.socket, leaving: Leaving, staying: list[socket.socket]) -> None:
        match leaving:
            case Leaving.CLOSE:
                connection.close()
            case Leaving.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            case Leaving.HALF_CLOSE:
                try:
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    connection.close()
                else:
                    staying.append(connection)
            case Leaving.STAY:
                staying.append(connection)
