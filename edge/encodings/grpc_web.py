"""The feed as a gRPC-web client gets it: a ``WatchResponse`` for each event, over HTTP/1.1 chunks as SSE."""

from collections.abc import Iterable

from edge.encodings.sse import SSE
from edge.events import FeedEvent
from edge.grpc_web import BINARY, TEXT, WireForm
from livecomments.errors import Reason, Refusal
from livecomments.v1.feed_service_pb2 import Heartbeat, WatchResponse


class GrpcWebFrames:
    """An Encoding."""

    content_encoding = ""
    last_frame = SSE.last_frame

    def __init__(self, form: WireForm) -> None:
        self._form = form
        self.name = form.name
        self.content_type = form.content_type
        self.heartbeat = form.message(WatchResponse(heartbeat=Heartbeat()))
        self.tail = form.end()
        self.expired = form.refusal(Refusal(Reason.UNAUTHENTICATED, "the token has expired"))
        slow = Refusal(Reason.OVERLOADED, "too slow: come back with the last cursor", retry_after_ms=1_000)
        self.too_slow = SSE.frame(form.refusal(slow)) + SSE.last_frame

    def begin(self, retry_ms: int) -> bytes:  # noqa: ARG002 (clients choose for themselves)
        """Nothing."""
        return b""

    def events(self, events: Iterable[FeedEvent]) -> bytes:
        """A message for each; none for what gRPC tells in another way."""
        return b"".join(self._form.message(event.respond()) for event in events if event.respond is not None)

    def farewell(self, retry_ms: int) -> bytes:
        """UNAVAILABLE, with the time to wait."""
        return self._form.refusal(
            Refusal(Reason.DRAINING, "this connection ends: open another", retry_after_ms=retry_ms)
        )

    def refused(self, refusal: Refusal) -> bytes:
        """Its status."""
        return self._form.refusal(refusal)

    def frame(self, data: bytes) -> bytes:
        """A chunk."""
        return SSE.frame(data)


GRPC_WEB = GrpcWebFrames(BINARY)
GRPC_WEB_TEXT = GrpcWebFrames(TEXT)
ENCODINGS = {BINARY: GRPC_WEB, TEXT: GRPC_WEB_TEXT}
"""By the form in which a call is answered."""
