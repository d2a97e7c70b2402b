"""What a WebSocket viewer says, and what it is told: the same on every way in."""

import random
import time

import msgspec

from edge import metrics
from edge.encodings.websocket import WEBSOCKET
from edge.events import FeedEvent
from edge.frames import (
    POLICY,
    UNSUPPORTED,
    BadFrame,
    Binary,
    Close,
    Frame,
    FrameReader,
    Ping,
    Text,
    close_frame,
    pong_frame,
)
from edge.hearing import Line
from edge.intake import Draft, PostComment, posted_shape, take_post, write_form
from edge.problems import HTTP_NAMES, field_errors, unexpected
from edge.requests import checked_key, read_json
from edge.shapes import encode
from edge.state import Edge
from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity
from livecomments.v1.comment_service_pb2 import PostCommentRequest, PostCommentResponse

MESSAGE_MAX_BYTES = 16 * 1024
POSTS_IN_FLIGHT = 16
"""Posts of one viewer that may wait for their answers."""


_NAMES = {**HTTP_NAMES, "request_id": "request_id"}


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """A message from a viewer."""

    post: msgspec.Raw


class SocketPost(PostComment, kw_only=True):
    """A comment; ``request_id`` comes back with the answer, and makes a repeat safe."""

    request_id: str


class _Named(msgspec.Struct):
    request_id: str


class Conversation:
    """A Listener. It is all that is kept for a viewer that is silent."""

    __slots__ = ("_address", "_edge", "_identity", "_in_flight", "_paid_until", "_reader", "_stream_id")

    def __init__(self, edge: Edge, stream_id: str, identity: Identity, address: str = "") -> None:
        """``address`` is where the viewer is, when its connection does not tell."""
        self._edge = edge
        self._stream_id = stream_id
        self._identity = identity
        self._address = address
        self._reader: FrameReader | None = None
        self._in_flight = 0
        self._paid_until = 0.0
        """Monotonic seconds at which all the frames so far would have come, had they come at the permitted rate."""

    def hear(self, line: Line, data: bytes) -> None:
        """Takes the next piece, of any length; answers on the line."""
        reader = self._reader or FrameReader(MESSAGE_MAX_BYTES)
        self._reader = None
        try:
            for frame in reader.feed(data):
                if isinstance(frame, Close):
                    line.part(close_frame(frame.code))
                    return
                self._take(line, frame)
        except BadFrame as bad:
            metrics.bad_sockets.labels(bad.code).inc()
            line.part(close_frame(bad.code, bad.reason))
            return
        if not reader.is_clean:
            self._reader = reader

    def _take(self, line: Line, frame: Frame) -> None:
        """Raises BadFrame for one that may not come here, or not now."""
        settings, now = self._edge.settings, time.monotonic()
        self._paid_until = max(self._paid_until, now) + 1 / settings.edge_socket_rate
        if self._paid_until - now > settings.edge_socket_burst / settings.edge_socket_rate:
            raise BadFrame(POLICY, "too many frames")
        match frame:
            case Text(data):
                self._take_message(line, data)
            case Ping(payload):
                line.say(pong_frame(payload))
            case Binary():
                raise BadFrame(UNSUPPORTED, "only text is understood")
            case _:
                pass  # a fragment, or a sign of life

    def _take_message(self, line: Line, data: bytes) -> None:
        try:
            post = bytes(read_json(data, Said).post)
        except Refusal as refusal:
            line.say(WEBSOCKET.events([error_event(refusal, None, "#/")]))
            return
        request_id = _request_id(post)
        if self._in_flight >= POSTS_IN_FLIGHT:
            wait_ms = random.randint(200, 1_000)
            crowded = Refusal(Reason.OVERLOADED, "too many posts of this viewer wait", retry_after_ms=wait_ms)
            line.say(WEBSOCKET.events([error_event(crowded, request_id)]))
            return
        self._post(line, post, request_id)

    def _post(self, line: Line, post: bytes, request_id: str | None) -> None:
        self._in_flight += 1

        def answer(outcome: PostCommentResponse | Refusal) -> None:
            self._in_flight -= 1
            if isinstance(outcome, Refusal):
                event = error_event(outcome, request_id)
            else:
                event = posted_event(outcome, request_id)
            line.say(WEBSOCKET.events([event]))

        address = self._address or line.address
        try:
            take_post(self._edge, self._identity, address, self._stream_id, _draft(post), answer=answer)
        except Exception as error:
            answer(unexpected(error, f"/v1/streams/{self._stream_id}/feed"))


def _draft(said: bytes) -> Draft:
    def write(post: PostCommentRequest) -> None:
        form = read_json(said, SocketPost)
        post.request_id = checked_key("request_id", form.request_id)
        write_form(post, form)

    return write


def _request_id(post: bytes) -> str | None:
    """What the answer is to be known by, even when the rest does not fit."""
    try:
        return msgspec.json.decode(post, type=_Named).request_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def posted_event(posted: PostCommentResponse, request_id: str | None) -> FeedEvent:
    """A viewer's post was taken."""
    data = {"request_id": request_id, **msgspec.structs.asdict(posted_shape(posted))}
    return FeedEvent(b"posted", encode(data), b"")


def error_event(refusal: Refusal, request_id: str | None, root: str = "#/post/") -> FeedEvent:
    """A viewer's message was refused; ``root`` begins the pointers to what is bad in it."""
    data: dict[str, object] = {} if request_id is None else {"request_id": request_id}
    data["reason"] = refusal.reason
    data["detail"] = refusal.detail or "; ".join(f"{error.field}: {error.detail}" for error in refusal.fields)
    if refusal.fields:
        data["errors"] = field_errors(refusal, root, _NAMES)
    if refusal.retry_after_ms:
        data["retry_after_ms"] = refusal.retry_after_ms
    return FeedEvent(b"error", encode(data), b"")
