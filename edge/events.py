"""What viewers are told, made once from the log's messages: named JSON events, and for gRPC the message of each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from edge.shapes import CommentShape, comment_message, comment_shape, encode, rfc3339, stream_shape
from livecomments.cursor import Cursor
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One event: its name, its JSON without line breaks, and the cursor that it completes."""

    name: bytes
    data: bytes
    cursor: bytes
    """Empty for what stands outside the log."""
    respond: Callable[[], feed.WatchResponse] | None = field(default=None, compare=False, repr=False)
    """Makes the message that says the same; None where gRPC has none. Only called when somebody watches by gRPC."""


def snapshot_event(
    stream: pb.Stream,
    viewers: int,
    comments: Iterable[CommentShape],
    cursor: Cursor,
    *,
    recovered: bool,
    degraded: bool = False,
) -> FeedEvent:
    """The first event of every feed: the state at a cursor, to be encoded before the stream changes."""
    shown = list(comments)
    data = {
        "stream": stream_shape(stream, viewers),
        "comments": shown,
        "recovered": recovered,
        "viewers": viewers,
        "degraded": degraded,
    }

    def respond() -> feed.WatchResponse:
        messages = [comment_message(comment, stream.stream_id) for comment in shown]
        snapshot = feed.Snapshot(
            stream=stream,
            comments=messages,
            cursor=str(cursor),
            recovered=recovered,
            viewers=viewers,
            degraded=degraded,
        )
        return feed.WatchResponse(snapshot=snapshot)

    return FeedEvent(b"snapshot", encode(data), str(cursor).encode(), respond)


def window_events(epoch: str, messages: Iterable[feed.FeedMessage], viewers: int) -> list[FeedEvent]:
    """The log's messages as events, in order; comments that follow each other become one ``new_comment``.

    Each carries the cursor of the last message that it completes: a connection that is cut between any two resumes
    without a loss or a double.
    """
    events: list[FeedEvent] = []
    run: list[feed.FeedMessage] = []
    for message in messages:
        # A message holds either comments or exactly one other event.
        found = message.events.events
        if not found or found[0].HasField("posted"):
            run.append(message)
            continue
        events += _new_comments(run, epoch)
        run = []
        events.append(_other(message, epoch, viewers))
    return events + _new_comments(run, epoch)


def viewers_event(count: int) -> FeedEvent:
    """How many watch; outside the log."""
    return FeedEvent(
        b"viewers",
        b'{"viewers":%d}' % count,
        b"",
        lambda: feed.WatchResponse(viewers=feed.ViewerCount(viewers=count)),
    )


def omitted_event(count: int) -> FeedEvent:
    """How many comments were left out of what came before it; outside the log."""
    return FeedEvent(
        b"omitted", b'{"count":%d}' % count, b"", lambda: feed.WatchResponse(batch=feed.FeedBatch(omitted=count))
    )


def degraded_event(degraded: bool) -> FeedEvent:
    """The feed lags for now, or does not any more; outside the log."""
    return FeedEvent(b"degraded", encode({"degraded": degraded}), b"", lambda: feed.WatchResponse(degraded=degraded))


def ended_event(ended_at_ms: int) -> FeedEvent:
    """The end, told again to someone who came after it. gRPC has told it by the snapshot's state."""
    return FeedEvent(b"stream_ended", encode({"ended_at": rfc3339(ended_at_ms)}), b"")


def _new_comments(run: list[feed.FeedMessage], epoch: str) -> list[FeedEvent]:
    """The comments of messages that follow each other; nothing where these hold none."""
    comments = [comment_shape(event.posted.comment) for message in run for event in message.events.events]
    if not comments:
        return []
    return [FeedEvent(b"new_comment", encode(comments), _cursor(epoch, run[-1]), partial(_batch, run))]


def _other(message: feed.FeedMessage, epoch: str, viewers: int) -> FeedEvent:
    name, data = _named(message.events.events[0], viewers)
    return FeedEvent(name, data, _cursor(epoch, message), partial(_batch, (message,)))


def _cursor(epoch: str, message: feed.FeedMessage) -> bytes:
    return b"%b-%d" % (epoch.encode(), message.seq)


def _batch(messages: Iterable[feed.FeedMessage]) -> feed.WatchResponse:
    return feed.WatchResponse(batch=feed.FeedBatch(messages=messages))


def _named(event: pb.Event, viewers: int) -> tuple[bytes, bytes]:
    """The name and the JSON of anything but a comment."""
    match event.WhichOneof("kind"):
        case "deleted":
            return b"delete_comment", encode({"comment_id": event.deleted.comment_id})
        case "pinned":
            return b"pinned_comment", encode({"comment": comment_shape(event.pinned.comment)})
        case "unpinned":
            return b"unpinned_comment", b"{}"
        case "updated":
            stream = stream_shape(event.updated.stream, viewers)
            return b"stream_updated", encode({"stream": stream})
        case "ending":
            return b"stream_ending", encode({"ends_at": rfc3339(event.ending.ends_at_ms)})
        case "ended":
            return b"stream_ended", encode({"ended_at": rfc3339(event.ended.ended_at_ms)})
        case _:
            # A kind that a newer core writes: its place in the log must still be passed on.
            return b"unknown", b"{}"
