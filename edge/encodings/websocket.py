"""WebSocket text frames (RFC 6455): one event a frame, as ``{"event": …, "id"?: …, "data": …}``."""

from collections.abc import Iterable

from edge.events import FeedEvent
from edge.frames import GOING_AWAY, NORMAL, POLICY, TRY_AGAIN_LATER, close_frame, ping_frame, text_frame
from livecomments.errors import Refusal


class WebSocketFrames:
    """An Encoding. The frames are the transport: nothing stands around them."""

    name = "websocket"
    content_type = ""
    content_encoding = ""
    heartbeat = ping_frame()
    tail = close_frame(NORMAL, "the stream has ended")
    expired = close_frame(POLICY, "the token has expired")
    too_slow = close_frame(TRY_AGAIN_LATER, "too slow: come back with the last id as cursor")
    last_frame = b""

    def begin(self, retry_ms: int) -> bytes:  # noqa: ARG002 (clients choose for themselves)
        """Nothing."""
        return b""

    def events(self, events: Iterable[FeedEvent]) -> bytes:
        """A frame each, with the cursor as ``id``; those outside the log have none."""
        return b"".join(
            text_frame(
                b'{"event":"%b","id":"%b","data":%b}' % (event.name, event.cursor, event.data)
                if event.cursor
                else b'{"event":"%b","data":%b}' % (event.name, event.data)
            )
            for event in events
        )

    def farewell(self, retry_ms: int) -> bytes:
        """1001, with the time to wait as its reason."""
        return close_frame(GOING_AWAY, f"going away: come back in {retry_ms} ms")

    def refused(self, refusal: Refusal) -> bytes:
        """1008, with the reason's name."""
        return close_frame(POLICY, refusal.reason)

    def frame(self, data: bytes) -> bytes:
        """As it is."""
        return data


WEBSOCKET = WebSocketFrames()
