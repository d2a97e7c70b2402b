"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Each event of the log carries, as ``id:``, the cursor of the last log message that it completes: a connection that is
cut between any two events resumes without a loss or a double.
"""

from collections.abc import Iterable, Sequence

from edge.shapes import CommentShape, StreamShape, comment_shape, encode, rfc3339, stream_shape
from livecomments.cursor import Cursor
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed

HEARTBEAT = b":\n\n"
CONTENT_TYPE = "text/event-stream"


def chunk(data: bytes) -> bytes:
    """A chunk of an HTTP/1.1 body (RFC 9112, section 7.1): framed once for all viewers."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def retry(ms: int) -> bytes:
    """How long EventSource waits before it comes back."""
    return b"retry: %d\n\n" % ms


def snapshot(
    stream: StreamShape, comments: Sequence[CommentShape], cursor: Cursor, *, recovered: bool, viewers: int
) -> bytes:
    """The first event of every feed."""
    data = {
        "stream": stream,
        "comments": comments,
        "recovered": recovered,
        "viewers": viewers,
        "degraded": False,
    }
    return _event(b"snapshot", encode(data), str(cursor))


def window(epoch: str, messages: Iterable[feed.FeedMessage], viewers: int) -> bytes:
    """The events of the log's messages, in order; comments that follow each other become one ``new_comment``."""
    parts: list[bytes] = []
    comments: list[CommentShape] = []
    last = 0
    for message in messages:
        for event in message.events.events:
            if event.WhichOneof("kind") == "posted":
                comments.append(comment_shape(event.posted.comment))
                continue
            if comments:
                parts.append(_event(b"new_comment", encode(comments), f"{epoch}-{last}"))
                comments = []
            parts.append(_other(event, f"{epoch}-{message.seq}", viewers))
        last = message.seq
    if comments:
        parts.append(_event(b"new_comment", encode(comments), f"{epoch}-{last}"))
    return b"".join(parts)


def viewers(count: int) -> bytes:
    """Stands outside the log: no id, EventSource keeps its last."""
    return b'event: viewers\ndata: {"viewers":%d}\n\n' % count


def ended(ended_at_ms: int) -> bytes:
    """The end, told again to someone who came after it."""
    return b"event: stream_ended\ndata: " + encode({"ended_at": rfc3339(ended_at_ms)}) + b"\n\n"


def _other(event: pb.Event, cursor: str, viewers_now: int) -> bytes:
    match event.WhichOneof("kind"):
        case "deleted":
            return _event(b"delete_comment", encode({"comment_id": event.deleted.comment_id}), cursor)
        case "pinned":
            return _event(b"pinned_comment", encode({"comment": comment_shape(event.pinned.comment)}), cursor)
        case "unpinned":
            return _event(b"unpinned_comment", b"{}", cursor)
        case "updated":
            data = encode({"stream": stream_shape(event.updated.stream, viewers_now)})
            return _event(b"stream_updated", data, cursor)
        case "ending":
            return _event(b"stream_ending", encode({"ends_at": rfc3339(event.ending.ends_at_ms)}), cursor)
        case "ended":
            return _event(b"stream_ended", encode({"ended_at": rfc3339(event.ended.ended_at_ms)}), cursor)
        case _:
            # A kind that a newer core writes: its place in the log must still be passed on.
            return _event(b"unknown", b"{}", cursor)


def _event(name: bytes, data: bytes, cursor: str) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name, cursor.encode(), data)
