"""gRPC-web as a client reads it, and viewers over it; to be used wherever a ``tests.viewers.Viewer`` is."""

import json
import re
import ssl
import struct
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote

import httpx
import msgspec
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from edge.events import window_events
from edge.shapes import comment_shapes, stream_shape
from livecomments.v1 import feed_service_pb2 as pb
from tests.processes import PATIENCE_S
from tests.viewers import Event, Viewer

M = TypeVar("M", bound=Message)

WATCH = "/livecomments.v1.FeedService/Watch"
BINARY, TEXT = "application/grpc-web", "application/grpc-web-text"
_MESSAGE, _TRAILERS = 0x00, 0x80


def framed(message: Message, flags: int = _MESSAGE) -> bytes:
    data = message.SerializeToString()
    return struct.pack("!BI", flags, len(data)) + data


def written(data: bytes, content_type: str) -> bytes:
    """Frames as they travel."""
    return b64encode(data) if content_type.startswith(TEXT) else data


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Whole frames: flags and content of each; fails when something is left over."""
    found, rest = split_frames(data)
    assert not rest, rest
    return found


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames, and what has come of the next."""
    found = []
    while len(data) >= 5:
        flags, size = struct.unpack_from("!BI", data)
        if len(data) < 5 + size:
            break
        found.append((flags, data[5 : 5 + size]))
        data = data[5 + size :]
    return found, data


def parts_of_text(data: bytes) -> list[bytes]:
    """Base64 that was put together from parts, each with its own padding, cut into such parts again."""
    return re.findall(rb"[^=]+=*", data)


def from_text(text: bytes) -> tuple[bytes, bytes]:
    """What such base64 says as far as it has come, and the rest, which is no whole group of four yet."""
    whole = re.match(rb"(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)*", text)
    assert whole is not None
    return b"".join(map(b64decode, parts_of_text(whole[0]))), text[whole.end() :]


@dataclass(frozen=True)
class Ending:
    """How a call ended."""

    status: int
    message: str
    reason: str
    """Of the error table; empty when there are no details."""
    retry_ms: int
    fields: tuple[str, ...]


def read_trailers(block: bytes) -> Ending:
    trailers = dict(line.split(":", 1) for line in block.decode("ascii").splitlines())
    info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    if "grpc-status-details-bin" in trailers:
        details = status_pb2.Status.FromString(b64decode(trailers["grpc-status-details-bin"] + "=="))
        assert details.code == int(trailers["grpc-status"])
        for detail in details.details:
            assert any(detail.Unpack(known) for known in (info, retry, bad))
        assert info.domain == "livecomments"
    fields = tuple(violation.field for violation in bad.field_violations)
    message = unquote(trailers.get("grpc-message", ""))
    return Ending(int(trailers["grpc-status"]), message, info.reason, retry.retry_delay.ToMilliseconds(), fields)


@dataclass(frozen=True)
class Answer:
    """What a call with one answer has brought."""

    status_code: int
    """HTTP's."""
    headers: httpx.Headers
    messages: tuple[bytes, ...]
    trailers: bytes

    @classmethod
    def of(cls, response: httpx.Response) -> "Answer":
        """Fails for a body that is no gRPC-web, or whose trailers are not its last frame."""
        content_type, content = response.headers.get("content-type", ""), response.content
        if response.status_code != 200:
            return cls(response.status_code, response.headers, (), b"")
        assert content_type.startswith(BINARY), content_type
        if not content:
            # Trailers alone: a proxy that translates gRPC gives them as headers.
            found = [f"{name}:{value}\r\n" for name, value in response.headers.items() if name.startswith("grpc-")]
            return cls(200, response.headers, (), "".join(found).encode())
        if content_type.startswith(TEXT):
            content, rest = from_text(content)
            assert not rest
        *messages, (last, trailers) = frames(content)
        assert last == _TRAILERS
        assert all(flags == _MESSAGE for flags, _ in messages)
        return cls(200, response.headers, tuple(message for _, message in messages), trailers)

    @property
    def ending(self) -> Ending:
        return read_trailers(self.trailers)

    def one(self, form: type[M]) -> M:
        """The only message; fails for a call that did not go well."""
        assert self.ending.status == 0, self.ending
        (message,) = self.messages
        return form.FromString(message)


def call_once(
    url: str,
    method: str,
    asked: Message,
    *,
    token: str = "",
    timeout: str = "",
    content_type: str = BINARY,
    headers: dict[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Calls ``<service>/<method>``. ``timeout``: as the header has it. ``tls``: HTTP/2 then, encrypted so."""
    sent = {"Content-Type": content_type, "Accept": content_type, "X-Grpc-Web": "1", **(headers or {})}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    if timeout:
        sent["grpc-timeout"] = timeout
    body = written(framed(asked), content_type)
    with httpx.Client(
        timeout=PATIENCE_S, trust_env=False, verify=tls or False, http1=tls is None, http2=tls is not None
    ) as http:
        return Answer.of(http.post(f"{url}/livecomments.v1.{method}", content=body, headers=sent))


class GrpcWebViewer(Viewer):
    """One call of Watch. Not a thread: it reads when it is asked to."""

    def __init__(
        self,
        url: str,
        stream_id: str,
        *,
        content_type: str = BINARY,
        headers: dict[str, str] | None = None,
        reused: bool = False,
        everything: bool = False,
        **how: Any,
    ) -> None:
        self.content_type = content_type
        self.sent_headers = headers or {}
        self.reused = reused
        """Whether the connection has served another request before, so that Hypercorn has it already."""
        self.everything = everything
        self.stream_id = stream_id
        self.responses: list[pb.WatchResponse] = []
        self.ending: Ending | None = None
        super().__init__(url, stream_id, **how)

    def request(self) -> tuple[str, str, dict[str, str], bytes]:
        """Method, path, headers and body, with the last cursor."""
        asked = pb.WatchRequest(stream_id=self.stream_id, cursor=self.cursor, all=self.everything)
        headers = {"Content-Type": self.content_type, "X-Grpc-Web": "1", **self.sent_headers}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return "POST", WATCH, headers, written(framed(asked), self.content_type)

    def begin(self) -> None:
        super().begin()
        self.ending = None
        self._frames = b""
        if self.reused:
            self.send_raw(f"GET /livez HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b"ok\n"):
                answer += self.receive()

    def _parse(self) -> None:
        if not self.headers["content-type"].startswith("application/grpc-web"):
            self.body, self._text = self.body + self._text, b""
            return
        if self.content_type.startswith(TEXT):
            data, self._text = from_text(self._text)
            self._frames += data
        else:
            self._frames, self._text = self._frames + self._text, b""
        found, self._frames = split_frames(self._frames)
        for flags, content in found:
            assert self.ending is None, "nothing stands behind the trailers"
            if flags == _TRAILERS:
                self.ending = read_trailers(content)
            else:
                assert flags == _MESSAGE
                self._show(pb.WatchResponse.FromString(content))

    def _show(self, response: pb.WatchResponse) -> None:
        self.responses.append(response)
        match response.WhichOneof("message"):
            case "heartbeat":
                self.heartbeats += 1
            case "viewers":
                self.events.append(Event("viewers", {"viewers": response.viewers.viewers}, self.cursor))
            case "snapshot":
                snapshot = response.snapshot
                self.cursor = snapshot.cursor
                data = {
                    "stream": stream_shape(snapshot.stream, snapshot.viewers),
                    "comments": comment_shapes(snapshot.comments),
                    "recovered": snapshot.recovered,
                    "viewers": snapshot.viewers,
                    "degraded": snapshot.degraded,
                }
                self.events.append(Event("snapshot", json.loads(msgspec.json.encode(data)), self.cursor))
            case "batch":
                epoch = self.cursor.rpartition("-")[0]
                for event in window_events(epoch, response.batch.messages, viewers=0):
                    self.cursor = event.cursor.decode()
                    self.events.append(Event(event.name.decode(), json.loads(event.data), self.cursor))
                if response.batch.omitted:
                    self.events.append(Event("omitted", {"count": response.batch.omitted}, self.cursor))
            case "degraded":
                self.events.append(Event("degraded", {"degraded": response.degraded}, self.cursor))
