"""What the protos look like as JSON (design.md, section 7), for every encoding and every HTTP answer."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

import msgspec

from livecomments.v1 import comment_pb2 as pb

encode = msgspec.json.Encoder().encode
"""JSON without line breaks, so that it stands in one SSE data line."""

_STATES = {pb.STREAM_STATE_LIVE: "live", pb.STREAM_STATE_ENDED: "ended"}
_VISIBILITIES = {pb.STREAM_VISIBILITY_PUBLIC: "public", pb.STREAM_VISIBILITY_PRIVATE: "private"}
_EPOCH = datetime.fromtimestamp(0, UTC)
_MS = timedelta(milliseconds=1)


StreamIdText = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^[A-Za-z0-9_-]{1,64}$"})]
Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
COMMENT_ID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
"""A UUIDv7 in lower case."""
CommentId = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": COMMENT_ID_PATTERN})]
CursorText = Annotated[str, msgspec.Meta(description="Where to go on from: a cursor.")]


def one_of(*values: str) -> msgspec.Meta:
    """Says which texts a field of ours may have. Not checked: we write them."""
    return msgspec.Meta(extra_json_schema={"enum": list(values)})


class CommentShape(msgspec.Struct, omit_defaults=True):
    """One comment."""

    comment_id: CommentId
    author_id: str
    author_name: str
    text: str
    posted_at: Instant
    offset_ms: Annotated[int, msgspec.Meta(description="posted_at, from the stream's start.")]
    lag_ms: Annotated[int, msgspec.Meta(description="How far behind live its author's player was.")] = 0
    meta: Annotated[
        msgspec.Raw | msgspec.UnsetType,
        msgspec.Meta(description="As it was posted.", extra_json_schema={"type": "object"}),
    ] = msgspec.UNSET


class StreamShape(msgspec.Struct, omit_defaults=True):
    """One stream. ``viewers`` is approximate."""

    stream_id: str
    title: str
    state: Annotated[str, one_of("live", "ended")]
    visibility: Annotated[str, one_of("public", "private")]
    host_id: str
    started_at: Instant
    slow_mode_s: Annotated[int, msgspec.Meta(description="Seconds between two comments of one user; 0: no limit.")]
    viewers: Annotated[int, msgspec.Meta(description="About how many watch.")]
    ended_at: Instant | None = None
    ends_at: Annotated[Instant | None, msgspec.Meta(description="When it will end, once that was announced.")] = None
    pinned: CommentShape | None = None


def rfc3339(ms: int) -> str:
    """Milliseconds since the Unix epoch as RFC 3339, UTC, always with three decimals."""
    second, rest = divmod(ms, 1000)
    return f"{_rfc3339_second(second)}.{rest:03d}Z"


@lru_cache(maxsize=1024)
def _rfc3339_second(second: int) -> str:
    # Comments come many in a second, and this was more than half of what encoding one took.
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def comment_shape(comment: pb.Comment) -> CommentShape:
    return CommentShape(
        comment.comment_id,
        comment.author_id,
        comment.author_name,
        comment.text,
        rfc3339(comment.posted_at_ms),
        comment.offset_ms,
        comment.lag_ms,
        msgspec.Raw(comment.meta_json.encode()) if comment.meta_json else msgspec.UNSET,
    )


def comment_message(shape: CommentShape, stream_id: str) -> pb.Comment:
    """The comment that a shape was made of."""
    return pb.Comment(
        comment_id=shape.comment_id,
        stream_id=stream_id,
        author_id=shape.author_id,
        author_name=shape.author_name,
        text=shape.text,
        posted_at_ms=(datetime.fromisoformat(shape.posted_at) - _EPOCH) // _MS,
        offset_ms=shape.offset_ms,
        lag_ms=shape.lag_ms,
        meta_json="" if shape.meta is msgspec.UNSET else bytes(shape.meta).decode(),
    )


def comment_shapes(comments: Iterable[pb.Comment]) -> list[CommentShape]:
    return [comment_shape(comment) for comment in comments]


def stream_shape(stream: pb.Stream, viewers: int) -> StreamShape:
    return StreamShape(
        stream.stream_id,
        stream.title,
        _STATES.get(stream.state, "live"),
        _VISIBILITIES.get(stream.visibility, "public"),
        stream.host_id,
        rfc3339(stream.started_at_ms),
        stream.slow_mode_s,
        viewers,
        rfc3339(stream.ended_at_ms) if stream.ended_at_ms else None,
        rfc3339(stream.ends_at_ms) if stream.ends_at_ms and not stream.ended_at_ms else None,
        comment_shape(stream.pinned) if stream.HasField("pinned") else None,
    )
