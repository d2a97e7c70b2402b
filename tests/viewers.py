"""Viewers as a browser is one: SSE over a plain socket, reconnecting with the last id."""

import json
import select
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from tests.processes import PATIENCE_S


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    name: str
    data: Any
    id: str


class Viewer:
    """One subscribe connection. Not a thread: it reads when it is asked to."""

    def __init__(
        self,
        url: str,
        stream_id: str,
        *,
        token: str = "",
        cursor: str = "",
        query: str = "",
        lines: tuple[str, ...] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``lines``: header lines besides the usual ones. ``tls``: how to encrypt the connection; plain without it."""
        self.lines = lines
        self.tls = tls
        self.stream_id = stream_id
        self.path = f"/v1/streams/{stream_id}/comments/subscribe{query}"
        self.host = urlsplit(url).netloc
        self.token = token
        self.cursor = cursor
        self.events: list[Event] = []
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.retry_ms: int | None = None
        self.heartbeats = 0
        self.closed = True
        self._socket: socket.socket | None = None
        self.connect()

    def connect(self) -> None:
        """Opens a new connection, with the last id as Last-Event-ID."""
        self.disconnect()
        self._socket = self.dial()
        self._raw = b""
        self._text = b""
        self.status = 0
        self.body = b""
        self.closed = False
        self.begin()
        self.ask()

    def dial(self) -> socket.socket:
        """The connection itself."""
        address = urlsplit(f"//{self.host}")
        dialled = socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S)
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return dialled if self.tls is None else self.tls.wrap_socket(dialled, server_hostname=address.hostname)

    def begin(self) -> None:
        """Whatever comes before the request."""

    def request(self) -> tuple[str, str, dict[str, str], bytes]:
        """Method, path, headers and body, with the last id."""
        headers = {"Accept": "text/event-stream"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.cursor:
            headers["Last-Event-ID"] = self.cursor
        headers |= dict(line.split(": ", 1) for line in self.lines)
        return "GET", self.path, headers, b""

    def ask(self) -> None:
        """Sends the request."""
        method, path, headers, body = self.request()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}"] if body else []
        self.send_raw(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def send_raw(self, data: bytes) -> None:
        assert self._socket is not None
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """What there is; empty at the end."""
        assert self._socket is not None
        try:
            return self._socket.recv(1 << 18)
        except ConnectionError:
            return b""

    def disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.closed = True

    def fileno(self) -> int:
        assert self._socket is not None
        return self._socket.fileno()

    def feed(self) -> None:
        """Reads what there is; call it when the socket is readable."""
        data = self.receive()
        self._raw += data
        if not self.status and b"\r\n\r\n" in self._raw:
            head, self._raw = self._raw.split(b"\r\n\r\n", 1)
            first, *rest = head.decode().split("\r\n")
            self.status = int(first.split()[1])
            self.headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in rest)}
        if self.status:
            self._unchunk()
            self._parse()
        if not data:
            self.disconnect()

    def _unchunk(self) -> None:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            self._text, self._raw = self._text + self._raw, b""
            return
        while b"\r\n" in self._raw:
            size_text, rest = self._raw.split(b"\r\n", 1)
            size = int(size_text.split(b";")[0], 16)
            if len(rest) < size + 2:
                return
            self._text += rest[:size]
            self._raw = rest[size + 2 :]
            if size == 0:
                self.disconnect()
                return

    def _parse(self) -> None:
        if self.headers.get("content-type") != "text/event-stream":
            self.body, self._text = self.body + self._text, b""
            return
        while b"\n\n" in self._text:
            block, self._text = self._text.split(b"\n\n", 1)
            name, data = "message", []
            for line in block.decode().split("\n"):
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif field == "id":
                    self.cursor = value
                elif field == "retry":
                    self.retry_ms = int(value)
                elif not field:
                    self.heartbeats += 1
            if data:
                self.events.append(Event(name, json.loads("\n".join(data)), self.cursor))

    def until(self, condition: Callable[[Self], object], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Reads until the condition holds; fails after the deadline or when the connection ends before."""
        watch([self], lambda: condition(self), what, timeout_s)

    def comments(self) -> list[dict[str, Any]]:
        """All comments shown so far, in order: snapshots' and live ones."""
        shown: list[dict[str, Any]] = []
        for event in self.events:
            if event.name == "snapshot":
                shown += event.data["comments"]
            elif event.name == "new_comment":
                shown += event.data
        return shown

    def ids(self) -> list[str]:
        return [comment["comment_id"] for comment in self.comments()]

    def texts(self) -> list[str]:
        return [comment["text"] for comment in self.comments()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()


class GzipViewer(Viewer):
    """The same, compressed."""

    def begin(self) -> None:
        self.lines = ("Accept-Encoding: gzip",)
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def _unchunk(self) -> None:
        text, self._text = self._text, b""
        super()._unchunk()
        self._text = text + self._inflater.decompress(self._text)


def watch(viewers: Iterable[Viewer], condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Reads for all viewers until the condition holds; fails after the deadline, naming what was waited for."""
    viewers = list(viewers)
    deadline = time.monotonic() + timeout_s
    poll = select.poll()
    by_fd = {viewer.fileno(): viewer for viewer in viewers if not viewer.closed}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0 or not by_fd:
            seen = [
                (viewer.status, viewer.closed, viewer.body[:300], [e.name for e in viewer.events][-5:])
                for viewer in viewers[:3]
            ]
            raise AssertionError(f"{'not within ' + str(timeout_s) + ' s' if by_fd else 'all closed'}: {what}; {seen}")
        for fd, _ in poll.poll(min(left, 1) * 1000):
            by_fd[fd].feed()
            if by_fd[fd].closed:
                poll.unregister(fd)
                del by_fd[fd]


def follow(
    viewers: Iterable[Viewer], condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S
) -> None:
    """As ``watch``, but a viewer that was cut comes back with its last id, as an EventSource does."""
    viewers = list(viewers)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        for viewer in viewers:
            if viewer.closed:
                with suppress(OSError):  # nobody listens yet
                    viewer.connect()
        open_ones = [viewer for viewer in viewers if not viewer.closed]
        for viewer in select.select(open_ones, [], [], 0.05)[0]:
            viewer.feed()


def make_known(url: str, stream_id: str, token: str = "") -> None:
    """Has an edge know a stream, so that its door may answer."""
    with Viewer(url, stream_id, token=token) as first:
        first.until(lambda v: v.events or v.closed or v.status not in (0, 200), "the edge knows the stream")


def from_the_log(viewer: Viewer) -> list[Event]:
    """What a viewer was told, but for what stands outside the log."""
    return [event for event in viewer.events if event.name not in ("viewers", "snapshot")]
