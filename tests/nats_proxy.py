"""A TCP proxy between a service and nats-server, which knows the protocol well enough to lose single messages."""

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Self
from urllib.parse import urlsplit

_WITH_PAYLOAD = (b"PUB", b"HPUB", b"MSG", b"HMSG")
_RECEIVE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Frame:
    """One operation of the NATS protocol."""

    verb: bytes
    subject: bytes
    """Empty for an operation that carries no payload."""
    payload: bytes
    """Headers included."""
    raw: bytes
    """As it came."""


class Frames:
    """Cuts one direction of a connection into frames. Pure."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes, in order."""
        self._rest += data
        while (end := self._rest.find(b"\r\n") + 2) >= 2:
            words = self._rest[: end - 2].split()
            verb, subject, payload = words[0].upper() if words else b"", b"", b""
            if verb in _WITH_PAYLOAD:
                subject, size = words[1], int(words[-1])
                if len(self._rest) < end + size + 2:
                    return
                payload = self._rest[end : end + size]
                end += size + 2
            raw, self._rest = self._rest[:end], self._rest[end:]
            yield Frame(verb, subject, payload, raw)


def is_append(frame: Frame) -> bool:
    """A core's message for the log."""
    return frame.verb == b"HPUB" and frame.subject.startswith(b"comments.")


def is_append_to(stream_id: str) -> Callable[[Frame], bool]:
    """The same for one stream."""
    return lambda frame: is_append(frame) and frame.subject.endswith(b"." + stream_id.encode())


def is_append_ack(frame: Frame) -> bool:
    """The log's word that it has stored a core's message."""
    return frame.verb == b"MSG" and b'"stream":"COMMENTS_' in frame.payload and b'"error"' not in frame.payload


class Loss(Enum):
    """How a frame is lost."""

    SWALLOWED = auto()
    """It alone, without a trace."""
    CUT_OFF = auto()
    """With its connection."""


@dataclass(eq=False)
class _Lost:
    matches: Callable[[Frame], bool]
    loss: Loss
    happened: threading.Event = field(default_factory=threading.Event)


class NatsProxy:
    """Listens on a port of its own for as long as it is entered; everything passes but what is to be lost."""

    def __init__(self, upstream: str) -> None:
        """``upstream``: URL of the nats-server."""
        address = urlsplit(upstream)
        self._upstream = (address.hostname, address.port)
        self._losses: deque[_Lost] = deque()
        self._swallowed: list[_Lost] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def lose(self, matches: Callable[[Frame], bool], loss: Loss = Loss.SWALLOWED) -> threading.Event:
        """Loses the next frame that matches, in either direction; the event says that it has happened."""
        lost = _Lost(matches, loss)
        self._losses.append(lost)
        return lost.happened

    @contextmanager
    def swallowing(self, matches: Callable[[Frame], bool]) -> Iterator[threading.Event]:
        """Swallows every frame that matches for as long as the context is open; the event says that one was."""
        swallowed = _Lost(matches, Loss.SWALLOWED)
        self._swallowed.append(swallowed)
        try:
            yield swallowed.happened
        finally:
            self._swallowed.remove(swallowed)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone does not wake a thread that waits on a socket. The first thread accepts: after it none is added.
        _shut(self._listener)
        self._join(self._threads[:1])
        _shut(*self._sockets)
        self._join(self._threads[1:])
        for one in (self._listener, *self._sockets):
            one.close()

    def _join(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            try:
                server = socket.create_connection(self._upstream)
            except OSError:
                _shut(client)
                continue
            self._sockets.append(server)
            self._start(self._pump, client, server)
            self._start(self._pump, server, client)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        frames = Frames()
        try:
            while data := source.recv(_RECEIVE_BYTES):
                for frame in frames.feed(data):
                    lost = self._next_lost(frame)
                    if lost is None:
                        target.sendall(frame.raw)
                        continue
                    if lost.loss is Loss.CUT_OFF:
                        return
        except OSError:
            pass
        finally:
            _shut(source, target)

    def _next_lost(self, frame: Frame) -> _Lost | None:
        for swallowed in list(self._swallowed):
            if swallowed.matches(frame):
                swallowed.happened.set()
                return swallowed
        if not self._losses or not self._losses[0].matches(frame):
            return None
        lost = self._losses.popleft()
        lost.happened.set()
        return lost


def _shut(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
