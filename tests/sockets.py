"""Viewers over a WebSocket, with wsproto as the client; to be used wherever a ``tests.viewers.Viewer`` is."""

import json
import ssl
from contextlib import suppress
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.events import Event as WsEvent
from wsproto.utilities import LocalProtocolError

from tests.viewers import Event, Viewer


class SocketViewer(Viewer):
    """One WebSocket. Not a thread: it reads when it is asked to."""

    reused = False
    """Whether the connection has served another request before, so that Hypercorn has it already."""

    def __init__(
        self,
        url: str,
        stream_id: str,
        *,
        token: str = "",
        cursor: str = "",
        headers: dict[str, str] | None = None,
        reused: bool = False,
        query: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``query``: parameters besides the cursor, ``a=1&b=2``."""
        self.query = query
        self.reused = reused
        self.sent_headers = headers or {}
        self.stream_id = stream_id
        self.close: tuple[int, str] | None = None
        """The close frame that came."""
        self.pongs: list[bytes] = []
        self.replies: list[tuple[str, dict[str, Any]]] = []
        """What came without an id for us alone: posted and error, in order."""
        super().__init__(url, stream_id, token=token, cursor=cursor, tls=tls)

    def connect(self) -> None:
        """Opens a new connection, with the last id as cursor."""
        self.disconnect()
        self.status, self.body, self.headers, self.close = 0, b"", {}, None
        self._socket = self.dial()
        if self.reused:
            self._socket.sendall(f"GET /livez HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b"ok\n"):
                answer += self._socket.recv(4096)
        self._ws = WSConnection(ConnectionType.CLIENT)
        headers = dict(self.sent_headers)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        parameters = [self.query, f"cursor={self.cursor}" if self.cursor else ""]
        target = f"/v1/streams/{self.stream_id}/feed?{'&'.join(filter(None, parameters))}".rstrip("?")
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._socket.sendall(self._ws.send(Request(host=self.host, target=target, extra_headers=extra)))
        self._message = ""
        self.closed = False

    def feed(self) -> None:
        """Reads what there is; call it when the socket is readable."""
        data = self.receive()
        if not data:
            self.disconnect()
            return
        self._ws.receive_data(data)
        for event in self._ws.events():
            self._take(event)

    def _take(self, event: WsEvent) -> None:
        match event:
            case AcceptConnection():
                self.status = 101
            case RejectConnection():
                self.status = event.status_code
                self.headers = {name.decode().lower(): value.decode() for name, value in event.headers}
            case RejectData():
                self.body += event.data
            case TextMessage():
                self._message += event.data
                if event.message_finished:
                    self._show(json.loads(self._message))
                    self._message = ""
            case Ping():
                self.heartbeats += 1
                self.send(event.response())
            case Pong():
                self.pongs.append(bytes(event.payload))
            case CloseConnection():
                self.close = (int(event.code), event.reason or "")
                with suppress(LocalProtocolError):  # when it answers ours
                    self.send(event.response())
                self.disconnect()

    def _show(self, message: dict[str, Any]) -> None:
        if message["event"] in ("posted", "error"):
            assert "id" not in message
            self.replies.append((message["event"], message["data"]))
            return
        assert message.keys() <= {"event", "id", "data"}
        self.cursor = message.get("id", self.cursor)
        self.events.append(Event(message["event"], message["data"], self.cursor))

    def send(self, event: WsEvent) -> None:
        self.send_raw(self.encode(event))

    def encode(self, event: WsEvent) -> bytes:
        return self._ws.send(event)

    def send_raw(self, data: bytes) -> None:
        assert self._socket is not None
        with suppress(ConnectionError):  # what the other side has said before is still to be read
            self._socket.sendall(data)

    def say(self, message: object) -> None:
        """One JSON message."""
        self.send(TextMessage(data=message if isinstance(message, str) else json.dumps(message)))

    def post(self, text: str, request_id: str, **fields: Any) -> dict[str, Any]:
        """Posts a comment and returns its answer; fails unless it is accepted."""
        self.say({"post": {"request_id": request_id, "text": text, **fields}})
        return self.answer(request_id, "posted")

    def answer(self, request_id: str | None, name: str) -> dict[str, Any]:
        """The answer to a post: ``posted`` or ``error``."""
        found: list[tuple[str, dict[str, Any]]] = []

        def has_come() -> bool:
            found[:] = [reply for reply in self.replies if reply[1].get("request_id") == request_id]
            return bool(found)

        self.until(lambda _: has_come(), f"the answer to {request_id}")
        self.replies.remove(found[0])
        assert found[0][0] == name, found[0]
        return found[0][1]
