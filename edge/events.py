"""What viewers are told, as named JSON events: made once from the log's messages, for every encoding of JSON."""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.shapes import CommentShape, comment_shape, encode, rfc3339, stream_shape
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


def snapshot_event(
    stream: pb.Stream, viewers: int, comments: Iterable[CommentShape], cursor: Cursor, *, recovered: bool
) -> FeedEvent:
    """The first event of every feed: the state at a cursor."""
    data = {
        "stream": stream_shape(stream, viewers),
        "comments": list(comments),
        "recovered": recovered,
        "viewers": viewers,
        "degraded": False,
    }
    return FeedEvent(b"snapshot", encode(data), str(cursor).encode())


def window_events(epoch: str, messages: Iterable[feed.FeedMessage], viewers: int) -> list[FeedEvent]:
    """The log's messages as events, in order; comments that follow each other become one ``new_comment``.

    Each carries the cursor of the last message that it completes: a connection that is cut between any two resumes
    without a loss or a double.
    """
    events: list[FeedEvent] = []
    comments: list[CommentShape] = []
    last = 0
    for message in messages:
        for event in message.events.events:
            if event.WhichOneof("kind") == "posted":
                comments.append(comment_shape(event.posted.comment))
                continue
            if comments:
                events.append(_new_comments(comments, epoch, last))
                comments = []
            events.append(_other(event, b"%b-%d" % (epoch.encode(), message.seq), viewers))
        last = message.seq
    if comments:
        events.append(_new_comments(comments, epoch, last))
    return events


def viewers_event(count: int) -> FeedEvent:
    """How many watch; outside the log."""
    return FeedEvent(b"viewers", b'{"viewers":%d}' % count, b"")


def ended_event(ended_at_ms: int) -> FeedEvent:
    """The end, told again to someone who came after it."""
    return FeedEvent(b"stream_ended", encode({"ended_at": rfc3339(ended_at_ms)}), b"")


def _new_comments(comments: list[CommentShape], epoch: str, seq: int) -> FeedEvent:
    return FeedEvent(b"new_comment", encode(comments), b"%b-%d" % (epoch.encode(), seq))


def _other(event: pb.Event, cursor: bytes, viewers: int) -> FeedEvent:
    match event.WhichOneof("kind"):
        case "deleted":
            return FeedEvent(b"delete_comment", encode({"comment_id": event.deleted.comment_id}), cursor)
        case "pinned":
            return FeedEvent(b"pinned_comment", encode({"comment": comment_shape(event.pinned.comment)}), cursor)
        case "unpinned":
            return FeedEvent(b"unpinned_comment", b"{}", cursor)
        case "updated":
            stream = stream_shape(event.updated.stream, viewers)
            return FeedEvent(b"stream_updated", encode({"stream": stream}), cursor)
        case "ending":
            return FeedEvent(b"stream_ending", encode({"ends_at": rfc3339(event.ending.ends_at_ms)}), cursor)
        case "ended":
            return FeedEvent(b"stream_ended", encode({"ended_at": rfc3339(event.ended.ended_at_ms)}), cursor)
        case _:
            # A kind that a newer core writes: its place in the log must still be passed on.
            return FeedEvent(b"unknown", b"{}", cursor)
