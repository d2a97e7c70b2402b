"""A stream's feed as a watcher sees it: typed events, each once, over any number of connections.

Plain code: messages of ``FeedService.Watch`` in, events out. ``Following`` says what comes next.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from livecomments.client.errors import LiveCommentsError
from livecomments.cursor import Cursor
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, Comment, Event, Stream
from livecomments.v1.feed_service_pb2 import FeedBatch, FeedMessage, WatchResponse
from livecomments.v1.feed_service_pb2 import Snapshot as SnapshotMessage


@dataclass(frozen=True, slots=True)
class Snapshot:
    """First on every connection: the state of the stream at ``cursor``."""

    stream: Stream
    comments: tuple[Comment, ...]
    """Oldest first; none when ``recovered``."""
    cursor: str
    viewers: int
    """Approximate, over the whole audience."""
    degraded: bool
    """The feed is cut off from the stream's home region and may lag."""
    recovered: bool
    """The feed goes on exactly where it was left."""
    gap: bool
    """The feed could not be resumed: what stands between the last event and this snapshot is not told."""


@dataclass(frozen=True, slots=True)
class CommentsPosted:
    """Comments that were committed together, in order."""

    comments: tuple[Comment, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class CommentDeleted:
    """A comment is gone from every read; take it from the screen."""

    comment_id: str
    cursor: str


@dataclass(frozen=True, slots=True)
class CommentPinned:
    """A comment stands above the others from now on; it replaces the one before."""

    comment: Comment
    cursor: str


@dataclass(frozen=True, slots=True)
class CommentUnpinned:
    """No comment is pinned any more."""

    cursor: str


@dataclass(frozen=True, slots=True)
class StreamUpdated:
    """Title, visibility or slow mode changed."""

    stream: Stream
    cursor: str


@dataclass(frozen=True, slots=True)
class StreamEnding:
    """The stream ends at ``ends_at_ms`` (Unix epoch); posts are still taken."""

    ends_at_ms: int
    cursor: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The last event of a stream."""

    ended_at_ms: int
    cursor: str


@dataclass(frozen=True, slots=True)
class Viewers:
    """How many watch, approximately. Not part of the log."""

    viewers: int


@dataclass(frozen=True, slots=True)
class Omitted:
    """The feed was too fast for one viewer: so many comments of the last window are left out. Replay has them."""

    count: int


@dataclass(frozen=True, slots=True)
class Degraded:
    """The feed was cut off from the stream's home region and may lag from now on, or it does so no longer."""

    degraded: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection was lost; the next try comes in ``retry_s`` seconds and begins with a Snapshot."""

    why: LiveCommentsError
    retry_s: float


LogEvent = (
    CommentsPosted | CommentDeleted | CommentPinned | CommentUnpinned | StreamUpdated | StreamEnding | StreamEnded
)
"""What stands in the log. Its cursor covers it: a watch from there begins with the event after it."""
FeedEvent = Snapshot | LogEvent | Viewers | Omitted | Degraded | Disconnected


class Feed:
    """What one watcher has seen of a stream."""

    def __init__(self, cursor: str = "") -> None:
        self.cursor = cursor
        """Where to resume; empty before the first snapshot."""
        self.over = False
        """The stream has ended, and nothing will follow."""
        self._place: Cursor | None = None

    def take(self, response: WatchResponse) -> Iterator[FeedEvent]:
        """The events that a message brings. ``cursor`` moves with each as it is taken out, so that whoever stops
        between two resumes there. Drops what was seen before. Raises BadCursor for a snapshot without a cursor.
        """
        match response.WhichOneof("message"):
            case "snapshot":
                yield self._snapshot(response.snapshot)
            case "batch":
                yield from self._batch(response.batch)
            case "viewers":
                yield Viewers(response.viewers.viewers)
            case "degraded":
                yield Degraded(response.degraded)
            case _:
                pass  # a heartbeat, or a message of a later version

    def _snapshot(self, message: SnapshotMessage) -> Snapshot:
        gap = bool(self.cursor) and not message.recovered
        self._place = Cursor.parse(message.cursor)
        self.cursor = message.cursor
        self.over = message.stream.state == STREAM_STATE_ENDED
        return Snapshot(
            message.stream,
            tuple(message.comments),
            message.cursor,
            message.viewers,
            message.degraded,
            message.recovered,
            gap,
        )

    def _batch(self, batch: FeedBatch) -> Iterator[FeedEvent]:
        for message in batch.messages:
            if self._place is None or message.seq <= self._place.seq:
                continue
            self._place = Cursor(self._place.epoch, message.seq)
            self.cursor = str(self._place)
            event = self._event(message)
            if event is not None:
                yield event
        if batch.omitted:
            yield Omitted(batch.omitted)

    def _event(self, message: FeedMessage) -> LogEvent | None:
        """A message holds comments, or exactly one other event; None when sampling has left nothing of it."""
        events = message.events.events
        posted = tuple(event.posted.comment for event in events if event.HasField("posted"))
        if posted:
            return CommentsPosted(posted, self.cursor)
        return self._other(events[0]) if events else None

    def _other(self, event: Event) -> LogEvent | None:
        match event.WhichOneof("kind"):
            case "deleted":
                return CommentDeleted(event.deleted.comment_id, self.cursor)
            case "pinned":
                return CommentPinned(event.pinned.comment, self.cursor)
            case "unpinned":
                return CommentUnpinned(self.cursor)
            case "updated":
                return StreamUpdated(event.updated.stream, self.cursor)
            case "ending":
                return StreamEnding(event.ending.ends_at_ms, self.cursor)
            case "ended":
                self.over = True
                return StreamEnded(event.ended.ended_at_ms, self.cursor)
            case _:
                return None
