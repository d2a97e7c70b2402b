"""Viewers over HTTP/2: with TLS, or without it from prior knowledge; WebSockets by RFC 8441."""

import h2.connection
import h2.events
import h2.settings
import httpx
from wsproto.connection import Connection, ConnectionType

from tests.grpc_web import GrpcWebViewer
from tests.polls import PollViewer
from tests.processes import PATIENCE_S
from tests.sockets import SocketViewer
from tests.viewers import Viewer


class OverHttp2(Viewer):
    """One request in one HTTP/2 stream; to be mixed into a viewer of any kind of response."""

    def ask(self) -> None:
        """Sends the request."""
        method, path, headers, body = self.request()
        self._http = h2.connection.H2Connection()
        self._http.initiate_connection()
        self._stream = self._http.get_next_available_stream_id()
        scheme = "https" if self.tls else "http"
        pseudo = [(":method", method), (":scheme", scheme), (":authority", self.host), (":path", path)]
        ordinary = [(name.lower(), value) for name, value in headers.items()]
        self._http.send_headers(self._stream, pseudo + ordinary, end_stream=not body)
        if body:
            self._http.send_data(self._stream, body, end_stream=True)
        self.send_raw(self._http.data_to_send())

    def feed(self) -> None:
        """Reads what there is; call it when the connection is readable."""
        data = self.receive()
        if not data:
            self.disconnect()
            return
        for event in self._http.receive_data(data):
            self._take_http(event)
        if not self.closed:
            self.send_raw(self._http.data_to_send())

    def _take_http(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.headers = {name.decode(): value.decode() for name, value in event.headers}
                self.status = int(self.headers[":status"])
            case h2.events.DataReceived():
                self._http.acknowledge_received_data(event.flow_controlled_length, self._stream)
                self._text += event.data
                self._parse()
            case h2.events.StreamEnded() | h2.events.StreamReset() | h2.events.ConnectionTerminated():
                self.disconnect()


class Http2EventViewer(OverHttp2, Viewer):
    """Server-sent events."""


class Http2GrpcWebViewer(OverHttp2, GrpcWebViewer):
    """gRPC-web."""


class Http2PollViewer(PollViewer):
    """Long-polls."""

    def client(self) -> httpx.Client:
        return httpx.Client(timeout=PATIENCE_S, trust_env=False, verify=self.tls or False, http1=False, http2=True)


class Http2SocketViewer(SocketViewer):
    """One WebSocket in one HTTP/2 stream."""

    def connect(self) -> None:
        """Opens a new connection, with the last id as cursor."""
        self.disconnect()
        self.status, self.body, self.headers, self.close, self._message = 0, b"", {}, None, ""
        self._socket = self.dial()
        self._http = h2.connection.H2Connection()
        self._http.initiate_connection()
        self._http.update_settings({h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
        self._socket.sendall(self._http.data_to_send())
        while not self._http.remote_settings.enable_connect_protocol:
            self._http.receive_data(self._socket.recv(65536))
        self._stream = self._http.get_next_available_stream_id()
        query = f"?cursor={self.cursor}" if self.cursor else ""
        headers = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https" if self.tls else "http"),
            (":authority", self.host),
            (":path", f"/v1/streams/{self.stream_id}/feed{query}"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-extensions", "permessage-deflate"),
            *((name.lower(), value) for name, value in self.sent_headers.items()),
        ]
        if self.token:
            headers.append(("authorization", f"Bearer {self.token}"))
        self._http.send_headers(self._stream, headers)
        self._socket.sendall(self._http.data_to_send())
        self._frames = Connection(ConnectionType.CLIENT)
        self.closed = False

    def feed(self) -> None:
        """Reads what there is; call it when the socket is readable."""
        data = self.receive()
        if not data:
            self.disconnect()
            return
        for event in self._http.receive_data(data):
            self._take_http(event)
        if self._socket is not None:
            self._socket.sendall(self._http.data_to_send())

    def _take_http(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.headers = {name.decode(): value.decode() for name, value in event.headers}
                status = int(self.headers[":status"])
                self.status = 101 if status == 200 else status
            case h2.events.DataReceived():
                self._http.acknowledge_received_data(event.flow_controlled_length, self._stream)
                if self.status != 101:
                    self.body += event.data
                    return
                self._frames.receive_data(event.data)
                for found in self._frames.events():
                    self._take(found)
            case h2.events.StreamEnded() | h2.events.StreamReset() | h2.events.ConnectionTerminated():
                self.disconnect()

    def encode(self, event: object) -> bytes:
        return self._frames.send(event)  # type: ignore[arg-type]

    def send_raw(self, data: bytes) -> None:
        if self._socket is not None:
            self._http.send_data(self._stream, data)
            self._socket.sendall(self._http.data_to_send())
