"""Server-sent events, compressed once for all viewers (RFC 1951, RFC 1952).

A gzip stream is a header, then raw deflate blocks. Every part ends with a full flush: it refers to nothing before it,
so whoever has the header may join at any part, and the same bytes serve everyone. The member has no trailer, as its
checksum would differ with where a viewer joined; browsers, fetch and curl accept an end after a final block.
"""

import zlib
from collections.abc import Iterable

from edge.encodings.sse import SSE
from edge.events import FeedEvent
from livecomments.errors import Refusal

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""No name, no time, unknown system."""
_LEVEL = 6


class GzipServerSentEvents:
    """An Encoding."""

    name = "sse-gzip"
    content_type = SSE.content_type
    content_encoding = "gzip"
    tail = b"\x03\x00"
    """An empty final block."""
    expired = tail
    too_slow = b""
    last_frame = SSE.last_frame

    def __init__(self) -> None:
        # One for all streams: after a full flush it remembers nothing, and making one costs 256 KB of memory traffic.
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self.heartbeat = self._deflate(SSE.heartbeat)

    def begin(self, retry_ms: int) -> bytes:
        """The gzip header, and how long EventSource waits before it comes back."""
        return _HEADER + self._deflate(SSE.begin(retry_ms))

    def events(self, events: Iterable[FeedEvent]) -> bytes:
        """Some events, in order."""
        return self._deflate(SSE.events(events))

    def farewell(self, retry_ms: int) -> bytes:
        """A new time to wait, and the end of the member."""
        return self._deflate(SSE.farewell(retry_ms)) + self.tail

    def refused(self, refusal: Refusal) -> bytes:  # noqa: ARG002 (as SSE)
        """The end of the member."""
        return self.tail

    def frame(self, data: bytes) -> bytes:
        """A chunk."""
        return SSE.frame(data)

    def _deflate(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_FULL_FLUSH)


GZIP = GzipServerSentEvents()


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether a request's Accept-Encoding (RFC 9110, section 12.5.3) names gzip."""
    for part in (accept_encoding or "").split(","):
        coding, _, weight = part.strip().partition(";")
        if coding.strip().lower() in ("gzip", "x-gzip"):
            return weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
