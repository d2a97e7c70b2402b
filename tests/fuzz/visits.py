"""What random visitors say to an edge: requests that are right, nearly right, or no requests; frames; all in pieces.

``STREAM``, ``TOKEN`` and ``CURSOR`` stand for a stream that is there, a viewer's token and a cursor of that stream.
"""

import base64
import re
import struct
from dataclasses import dataclass
from enum import Enum

from hypothesis import strategies as st

from livecomments.v1 import feed_service_pb2 as feed


class Leaving(Enum):
    """How a connection ends."""

    CLOSE = "close"
    RESET = "reset"
    HALF_CLOSE = "half-close"
    STAY = "stay until the others have gone"


@dataclass(frozen=True)
class Visit:
    """One connection: what is sent in pieces, and in pieces once an answer to that has begun."""

    first: tuple[bytes, ...]
    then: tuple[bytes, ...] = ()
    leaving: Leaving = Leaving.CLOSE

    def __str__(self) -> str:
        """All of it, long runs of one byte left out."""
        first, then = (
            [_RUN.sub(lambda run: run[1] + b"<%d times>" % len(run[0]), piece) for piece in pieces]
            for pieces in (self.first, self.then)
        )
        return f"{first} {then} {self.leaving.value}"


_RUN = re.compile(rb"(.)\1{15,}", re.DOTALL)

_METHODS = ["GET"] * 6 + ["POST", "HEAD", "PUT", "OPTIONS", "get", "G", ""]
_PATHS = [
    *["/v1/streams/STREAM/comments/subscribe"] * 6,
    *["/v1/streams/STREAM/feed"] * 3,
    *["/livecomments.v1.FeedService/Watch"] * 2,
    "/livecomments.v1.CommentService/PostComment",
    "/v1/streams/STREAM/comments",
    "/v1/events",
    "/v1/streams/STREAM%00/comments/subscribe",
    "/v1/streams/%53TREAM/comments/subscribe",
    "/v1/streams/%ff/comments/subscribe",
    "/v1/streams//comments/subscribe",
    "/v1/streams/STREAM/comments/subscribe/",
    "/v1/streams/nobody-knows/comments/subscribe",
    "http://test/v1/streams/STREAM/comments/subscribe",
    "/livez",
    "*",
]
_QUERIES = [
    *[""] * 6,
    "?last_event_id=CURSOR",
    "?last_event_id=CURSOR&last_event_id=CURSOR",
    "?last_event_id=%ff%00",
    "?last_event_id=e-99999999999999999999",
    "?cursor=CURSOR",
    "?all=1",
    "?ticket=CURSOR",
    "?cursor=CURSOR&ticket=%00",
    "?stream=STREAM&stream=STREAM",
    "?since=CURSOR&wait=0",
    "?" + "a=1&" * 50,
    "?%",
    "#fragment",
]
_VERSIONS = ["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", "HTTP/11", ""]
_HEADERS = {
    "Host": ["test", "test:80", "", "\xff"],
    "Accept": ["text/event-stream", "*/*"],
    "Accept-Encoding": ["gzip", "gzip;q=0", "br, gzip;q=0.5", ";;,,="],
    "Last-Event-ID": ["CURSOR", "CURSOR ", "e-1", "-", "e-" + "9" * 40, "\xe9-1"],
    "Authorization": ["Bearer TOKEN", "Bearer", "Bearer a.b.c", "Basic eDp5", "bearer TOKEN "],
    "Connection": ["keep-alive", "close", "Upgrade", "keep-alive, Upgrade", "upgrade,,"],
    "Upgrade": ["websocket", "WebSocket", "h2c", "websocket, h2c"],
    "Sec-WebSocket-Version": ["13", "8", "13, 8", "x"],
    "Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ==", "short", ""],
    "Sec-WebSocket-Extensions": ["permessage-deflate", "permessage-deflate; client_max_window_bits=99", ";"],
    "Sec-WebSocket-Protocol": ["chat", ","],
    "Origin": ["https://a.example", "null", "http://["],
    "Content-Length": ["0", "5", "-1", "99999999999999999999", "1, 1", "x"],
    "Transfer-Encoding": ["chunked", "gzip, chunked", "identity"],
    "Expect": ["100-continue", "x"],
    "Content-Type": ["application/grpc-web+proto", "application/grpc-web-text", "application/json"],
    "X-Forwarded-For": ["1.2.3.4", ",", "::1, x"],
    "Idempotency-Key": ["k", '"k"', "\x01"],
    "Cookie": ["a=" + "x" * 5_000],
    "X-Large": ["x" * 20_000],
    " X": ["folded"],
    "": [""],
}
_ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n"]

_header = st.sampled_from(sorted(_HEADERS)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.one_of(st.sampled_from(_HEADERS[name]), st.text(st.characters(max_codepoint=255), max_size=20)),
    )
)


def _request(start: tuple[str, str, str, str], headers: list[tuple[str, str]], end: bytes, body: bytes) -> bytes:
    method, path, query, version = start
    lines = [f"{method} {path}{query} {version}", *(f"{name}: {value}" for name, value in headers), ""]
    return b"".join(line.encode("latin-1") + end for line in lines) + body


_starts = st.tuples(*map(st.sampled_from, (_METHODS, _PATHS, _QUERIES, _VERSIONS)))
_messages = st.builds(
    lambda stream, cursor: feed.WatchRequest(stream_id=stream, cursor=cursor).SerializeToString(),
    st.sampled_from(["STREAM", "", "nobody-knows"]),
    st.sampled_from(["", "CURSOR", "-"]),
)
_calls = st.builds(
    lambda flags, size, message: struct.pack("!BI", flags, max(0, len(message) + size)) + message,
    st.sampled_from([0, 0, 0, 1, 0x80, 0xFF]),
    st.sampled_from([0, 0, 0, -1, 1, 1 << 30]),
    st.one_of(_messages, st.binary(min_size=1, max_size=40)),
)
_bodies = st.one_of(
    st.just(b""),
    st.just(b'{"text":"hello"}'),
    _calls,
    _calls.map(base64.b64encode),
    st.just(b"5\r\nhello\r\n0\r\n\r\n"),
    st.binary(max_size=40),
)


@st.composite
def _damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Now and then with some bytes changed, taken away, doubled, or put in."""
    data = draw(whole)
    for _ in range(draw(st.sampled_from([0] * 6 + [1, 2, 5]))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.sampled_from([0, 1, 1, 3, 30])))
        new = draw(st.one_of(st.binary(max_size=3), st.just(data[begin:end] * 2), st.sampled_from([b"\r\n", b"\x00"])))
        data = data[:begin] + new + data[end:]
    return data


@st.composite
def _in_pieces(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> tuple[bytes, ...]:
    data = draw(whole)
    count = draw(st.sampled_from([0, 0, 1, 2, 5]))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), min_size=count, max_size=count)))
    return tuple(data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if begin < end)


# Mostly what a good client sends, so that something comes after the request line.
_good_heads = st.builds(
    lambda headers: [("Host", "test"), *headers], st.lists(_header, max_size=4).map(lambda found: found[:3])
)
_requests = st.builds(
    _request, _starts, st.one_of(_good_heads, st.lists(_header, max_size=6)), st.sampled_from(_ENDS), _bodies
)
_subscribes = st.builds(
    lambda path, query, headers: _request(("GET", path, query, "HTTP/1.1"), headers, b"\r\n", b""),
    st.just("/v1/streams/STREAM/comments/subscribe"),
    st.sampled_from(["", "", "?last_event_id=CURSOR"]),
    _good_heads,
)
_leavings = st.sampled_from(Leaving)
request_visits = st.builds(
    lambda data, leaving: Visit(data, leaving=leaving),
    _in_pieces(_damaged(st.lists(st.one_of(_requests, _subscribes), min_size=1, max_size=3).map(b"".join))),
    _leavings,
)
"""The request line and the headers of a subscribe and of what stands near it: damaged, split, pipelined, oversized."""


def frame(first: int, payload: bytes, *, masked: bool = True) -> bytes:
    """One frame as a client writes it, right or wrong; masked with zeros."""
    mask, size = 0x80 if masked else 0, len(payload)
    head = bytes((first, mask | size)) if size < 126 else struct.pack("!BBH", first, mask | 126, size)
    return head + (bytes(4) if masked else b"") + payload


_said = [
    b'{"post":{"request_id":"r","text":"a"}}',
    b'{"post":{"request_id":"r","text":"\\ud800"}}',
    b'{"post":{}}',
    b'{"post":{"request_id":"r","text":"a","meta":{"a":[1]}}}',
    b"[" * 100,
    b"{",
]
_frames = st.builds(
    lambda first, payload, masked: frame(first, payload, masked=masked),
    st.sampled_from([0x81, 0x81, 0x01, 0x00, 0x80, 0x89, 0x8A, 0x88, 0x82, 0xC1, 0x83]),
    st.one_of(st.binary(max_size=130), st.sampled_from(_said), st.sampled_from([b"\x03\xe8", b"x" * 16_385])),
    st.sampled_from([True] * 9 + [False]),
)
_OPENING = (
    b"GET /v1/streams/STREAM/feed HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer TOKEN\r\n\r\n"
)
_BY_HYPERCORN = _OPENING.replace(b"Host: test\r\n", b"Host: test\r\nX-Odd: 1\r\nX-Odd: 2\r\n")
"""A repeated header, which the door leaves to Hypercorn."""
frame_visits = st.builds(
    lambda opening, frames, leaving: Visit((opening,), frames, leaving),
    st.sampled_from([_OPENING, _OPENING, _BY_HYPERCORN]),
    _in_pieces(_damaged(st.lists(_frames, min_size=1, max_size=8).map(b"".join))),
    _leavings,
)
"""A WebSocket's frames, behind a proper opening."""


def _call(body: bytes, content_type: str) -> bytes:
    head = f"POST /livecomments.v1.FeedService/Watch HTTP/1.1\r\nHost: test\r\nContent-Type: {content_type}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


call_visits = st.builds(
    lambda data, leaving: Visit(data, leaving=leaving),
    _in_pieces(
        st.one_of(
            st.builds(_call, _damaged(_calls), st.just("application/grpc-web+proto")),
            st.builds(_call, _damaged(_calls.map(base64.b64encode)), st.just("application/grpc-web-text")),
        )
    ),
    _leavings,
)
"""The bodies of gRPC-web's Watch."""

visits = st.one_of(request_visits, request_visits, frame_visits, call_visits)
"""All kinds."""
