"""What came over the wire to a viewer, read as cheaply as a crowd needs it: which comments, and how far. Pure.

The comments' texts are ``text_of`` a number; all else is passed over. Viewers of one encoding get the same
bytes, mostly in the same pieces, so what was read for one is remembered for the others.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from livecomments.v1.feed_service_pb2 import WatchRequest, WatchResponse
from tests.grpc_web import BINARY, TEXT, WATCH, framed, from_text, split_frames, written

_NUMBER = re.compile(rb'"text":"@@(\d+) ')
_RECOVERED = re.compile(rb'"recovered":(true|false)')
_SSE_ID = re.compile(rb"^id: (\S+)$", re.MULTILINE)
_FRAME_ID = re.compile(rb'^\{"event":"[a-z_]+","id":"([^"]+)"', re.MULTILINE)
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_DEFLATE_END = b"\x03\x00"
_CLOSE = 0x88


def text_of(number: int) -> str:
    """The text of a comment that can be known by it; of a length as people write."""
    return f"@@{number} What a goal, I can't believe he made that from there! Replay please, all of you."


def number_of(text: str) -> int:
    """The other way around."""
    return int(text.removeprefix("@@").split()[0])


@dataclass(frozen=True, slots=True)
class Heard:
    """What some bytes said."""

    numbers: tuple[int, ...]
    """Of the comments, in their order."""
    cursor: str
    """The last id; empty for none, and without its epoch where the snapshot alone tells that."""
    snapshots: tuple[bool, ...]
    """For each snapshot, whether it says that nothing was missed."""
    is_over: bool
    """The feed has ended, in order."""
    rest: bytes
    """The beginning of something that is not whole yet."""


@dataclass(frozen=True)
class Way:
    """How a viewer watches."""

    name: str
    request: Callable[[str, str], bytes]
    """What it asks, for a stream and a cursor (empty for none)."""
    read: Callable[[bytes], Heard]
    """What it got behind the response's head, from where something begins."""


@lru_cache(maxsize=256)
def read_sse(data: bytes) -> Heard:
    """Events in chunks."""
    chunks, rest = _unchunked(data)
    return _heard(b"".join(chunks), _SSE_ID, is_over=b"" in chunks, rest=rest)


@lru_cache(maxsize=256)
def read_gzip(data: bytes) -> Heard:
    """The same compressed, where each chunk can be read without the ones before it."""
    chunks, rest = _unchunked(data)
    return _heard(b"".join(map(_inflated, chunks)), _SSE_ID, is_over=b"" in chunks, rest=rest)


@lru_cache(maxsize=256)
def read_frames(data: bytes) -> Heard:
    """A server's frames, never masked."""
    messages, is_over, at = [], False, 0
    for first, payload, at in _frames(data):  # noqa: B007 (the end of the last whole one)
        if first == _CLOSE:
            is_over = True
        else:
            messages.append(payload)
    return _heard(b"\n".join(messages), _FRAME_ID, is_over=is_over, rest=data[at:])


@lru_cache(maxsize=256)
def read_grpc_web(data: bytes) -> Heard:
    """gRPC-web's binary frames in chunks."""
    chunks, rest = _unchunked(data)
    return _heard_calls(b"".join(chunks), is_over=b"" in chunks, rest=rest)


@lru_cache(maxsize=256)
def read_grpc_web_text(data: bytes) -> Heard:
    """The same as text."""
    chunks, rest = _unchunked(data)
    frames, unread = from_text(b"".join(chunks))
    assert not unread, "a chunk ends where a frame does"
    return _heard_calls(frames, is_over=b"" in chunks, rest=rest)


def _heard_calls(data: bytes, *, is_over: bool, rest: bytes) -> Heard:
    frames, unread = split_frames(data)
    assert not unread, "a chunk ends where a frame does"
    numbers: list[int] = []
    snapshots: list[bool] = []
    cursor = ""
    for response in (WatchResponse.FromString(content) for flags, content in frames if not flags):
        if response.HasField("snapshot"):
            numbers += (number_of(comment.text) for comment in response.snapshot.comments)
            snapshots.append(response.snapshot.recovered)
            cursor = response.snapshot.cursor
        for message in response.batch.messages:
            numbers += (number_of(event.posted.comment.text) for event in message.events.events)
            cursor = f"{cursor.rpartition('-')[0]}-{message.seq}"
    return Heard(tuple(numbers), cursor, tuple(snapshots), is_over, rest)


def _heard(text: bytes, cursor: re.Pattern[bytes], *, is_over: bool, rest: bytes) -> Heard:
    ids = cursor.findall(text)
    return Heard(
        tuple(map(int, _NUMBER.findall(text))),
        ids[-1].decode() if ids else "",
        tuple(found == b"true" for found in _RECOVERED.findall(text)),
        is_over,
        rest,
    )


def _unchunked(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole chunks, an empty one for the end, and what stands behind them."""
    chunks, at = [], 0
    while (line := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line], 16)
        if len(data) < line + 2 + size + 2:
            break
        chunks.append(data[line + 2 : line + 2 + size])
        at = line + 2 + size + 2
    return chunks, data[at:]


def _inflated(chunk: bytes) -> bytes:
    body = chunk.removeprefix(_GZIP_HEADER)
    return b"" if body == _DEFLATE_END else zlib.decompressobj(-zlib.MAX_WBITS).decompress(body)


def _frames(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Each whole frame: its first byte, its payload, and where it ends."""
    at = 0
    while len(data) >= at + 2:
        size, begin = data[at + 1] & 0x7F, at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            begin += width
            size = int.from_bytes(data[at + 2 : begin], "big")
        if len(data) < begin + size:
            return
        yield data[at], data[begin : begin + size], begin + size
        at = begin + size


def _asking(target: str, lines: Iterable[str]) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: test", *lines, "", ""]).encode()


def _subscribe(*lines: str) -> Callable[[str, str], bytes]:
    def request(stream: str, cursor: str) -> bytes:
        resume = [f"Last-Event-ID: {cursor}"] if cursor else []
        return _asking(f"/v1/streams/{stream}/comments/subscribe", [*lines, *resume])

    return request


def _open_socket(stream: str, cursor: str) -> bytes:
    lines = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    query = f"?cursor={cursor}" if cursor else ""
    return _asking(f"/v1/streams/{stream}/feed{query}", [*lines, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="])


def _call(content_type: str) -> Callable[[str, str], bytes]:
    def request(stream: str, cursor: str) -> bytes:
        body = written(framed(WatchRequest(stream_id=stream, cursor=cursor)), content_type)
        head = f"POST {WATCH} HTTP/1.1\r\nHost: test\r\nContent-Type: {content_type}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    return request


SSE = Way("SSE", _subscribe(), read_sse)
GZIP = Way("SSE gzip", _subscribe("Accept-Encoding: gzip"), read_gzip)
WEBSOCKET = Way("WebSocket", _open_socket, read_frames)
HANDED_OFF = Way("SSE by Hypercorn", _subscribe("X-Odd: 1", "X-Odd: 2"), read_sse)
"""A repeated header, which the door leaves to Hypercorn, which hands the viewer off."""
GRPC_WEB = Way("gRPC-web", _call(BINARY), read_grpc_web)
GRPC_WEB_TEXT = Way("gRPC-web text", _call(TEXT), read_grpc_web_text)
WAYS = (SSE, GZIP, WEBSOCKET, GRPC_WEB, GRPC_WEB_TEXT)
