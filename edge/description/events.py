"""The events of a feed: what each means, and an example that is made by the code which makes the real ones."""

from dataclasses import dataclass

from edge.composite import CompositeCursor
from edge.conversation import error_event, posted_event
from edge.encodings.session import fill_in, session_event, stream_events
from edge.encodings.sse import SSE
from edge.events import (
    FeedEvent,
    degraded_event,
    omitted_event,
    snapshot_event,
    viewers_event,
    window_events,
)
from edge.shapes import comment_shape
from livecomments.cursor import Cursor
from livecomments.errors import FieldError, Reason, Refusal
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1.comment_service_pb2 import PostCommentResponse
from livecomments.v1.feed_service_pb2 import FeedMessage

_EPOCH = "kx3v9a1b"
_START_MS = 1_795_269_600_000
_COMMENT = pb.Comment(
    comment_id="019aa3f0-5a3c-7b1e-8000-000000000001", stream_id="final", author_id="ann", author_name="Ann",
    text="What a goal!", posted_at_ms=_START_MS + 61_250, offset_ms=61_250, lag_ms=2_400,
)  # fmt: skip
_STREAM = pb.Stream(
    stream_id="final", title="The final", host_id="eve", state=pb.STREAM_STATE_LIVE,
    visibility=pb.STREAM_VISIBILITY_PUBLIC, started_at_ms=_START_MS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Explained:
    """One kind of event."""

    meaning: str
    example: FeedEvent

    @property
    def name(self) -> str:
        """As the wire has it."""
        return self.example.name.decode()

    @property
    def wire(self) -> str:
        """The example as server-sent events have it."""
        return SSE.events([self.example]).decode()

    @property
    def frame(self) -> str:
        """The example as a WebSocket's text frame has it."""
        return f'{{"event":"{self.name}","data":{self.example.data.decode()}}}'


def _logged(seq: int, **event: object) -> FeedEvent:
    message = FeedMessage(seq=seq, events=pb.EventBatch(events=[pb.Event(**event)]))  # type: ignore[arg-type]
    (made,) = window_events(_EPOCH, [message], viewers=1204)
    return made


FEED_EVENTS = (
    Explained(
        "Always first: the stream, the latest comments, and how many watch. After a resume that succeeded `recovered` "
        "is true, there are no comments in it, and what was missed follows as events. If it is false after a resume, "
        "comments may be missing: replace what is shown by what it holds.",
        snapshot_event(_STREAM, 1204, [comment_shape(_COMMENT)], Cursor(_EPOCH, 41), recovered=False),
    ),
    Explained(
        "A JSON array: the comments of a window of 100 ms, in the log's order, which is everyone's.",
        _logged(42, posted=pb.CommentPosted(comment=_COMMENT)),
    ),
    Explained("Remove it from the screen.", _logged(43, deleted=pb.CommentDeleted(comment_id=_COMMENT.comment_id))),
    Explained("It takes the place of the one before.", _logged(44, pinned=pb.CommentPinned(comment=_COMMENT))),
    Explained("Nothing is pinned any more.", _logged(45, unpinned=pb.CommentUnpinned())),
    Explained(
        "The title, the visibility or slow mode has changed.", _logged(46, updated=pb.StreamUpdated(stream=_STREAM))
    ),
    Explained("The host has announced the end.", _logged(47, ending=pb.StreamEnding(ends_at_ms=_START_MS + 7_200_000))),
    Explained(
        "Nothing comes after it: the connection is closed, and whoever comes back with its cursor gets 204.",
        _logged(48, ended=pb.StreamEnded(ended_at_ms=_START_MS + 7_200_000)),
    ),
    Explained("About how many watch, everywhere.", viewers_event(1204)),
    Explained(
        "So many comments were left out of what came just before, as no one could read them all. The replay has them.",
        omitted_event(37),
    ),
    Explained("The feed lags behind the log for now, or does so no longer.", degraded_event(True)),
)
"""In the order in which a reader meets them."""

SOCKET_EVENTS = (
    Explained(
        "WebSocket: the post with this `request_id` is durable. Everyone, its author too, is told by `new_comment`.",
        posted_event(PostCommentResponse(comment=_COMMENT, cursor=f"{_EPOCH}-42"), "7f0c"),
    ),
    Explained(
        "WebSocket: a message was refused, for a reason of the error table. Repeat it with the same `request_id` "
        "after `retry_after_ms`, where there is one.",
        error_event(Refusal(Reason.INVALID_FIELD, "", (FieldError("text", "must have 1 to 500 characters"),)), "7f0c"),
    ),
)
"""The answers to what a viewer says on its WebSocket."""

SESSION_PROSE = (
    "First, and after each change: the session's id, and its streams. Every other event comes as in a feed of its own, "
    'with its stream around the data: `{"stream_id": …, "data": …}`.'
)


def session_example() -> str:
    """How a connection for many streams begins."""
    cursor = CompositeCursor({"final": None, "semifinal": None})
    begin = session_event("w1.6f1c", ["final", "semifinal"], str(cursor).encode())
    deleted = FEED_EVENTS[2].example
    place = CompositeCursor({"final": Cursor.parse(deleted.cursor.decode()), "semifinal": None})
    told = fill_in(stream_events("final").events([deleted]), lambda _: str(place).encode())
    return SSE.begin(1_340).decode() + (begin + told).decode()


def sse_example() -> str:
    """How a feed begins."""
    return SSE.begin(1_340).decode() + "".join(event.wire for event in FEED_EVENTS[:2])


def feed_prose() -> str:
    """The events as a list in Markdown."""
    return "\n".join(f"- `{event.name}`: {event.meaning}" for event in FEED_EVENTS)
