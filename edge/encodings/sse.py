"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) over HTTP/1.1 chunks."""

from collections.abc import Iterable

from edge.events import FeedEvent
from livecomments.errors import Refusal

CONTENT_TYPE = "text/event-stream"


class ServerSentEvents:
    """An Encoding. JSON never holds a line break, so each event has one data line."""

    name = "sse"
    content_type = CONTENT_TYPE
    content_encoding = ""
    tail = b""
    expired = b""
    """Nothing: whoever comes back with the same token is told by the status."""
    too_slow = b""
    heartbeat = b":\n\n"
    last_frame = b"0\r\n\r\n"

    def begin(self, retry_ms: int) -> bytes:
        """How long EventSource waits before it comes back."""
        return b"retry: %d\n\n" % retry_ms

    def events(self, events: Iterable[FeedEvent]) -> bytes:
        """Events with the cursor as ``id:``; those outside the log have none, and EventSource keeps its last."""
        return b"".join(
            b"event: %b\nid: %b\ndata: %b\n\n" % (event.name, event.cursor, event.data)
            if event.cursor
            else b"event: %b\ndata: %b\n\n" % (event.name, event.data)
            for event in events
        )

    def farewell(self, retry_ms: int) -> bytes:
        """As the beginning: a new time replaces the old one."""
        return self.begin(retry_ms)

    def refused(self, refusal: Refusal) -> bytes:  # noqa: ARG002 (the status of the next subscribe tells why)
        """Nothing."""
        return b""

    def frame(self, data: bytes) -> bytes:
        """A chunk (RFC 9112, section 7.1), framed once for all viewers."""
        # An empty chunk would be the end.
        return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


SSE = ServerSentEvents()
