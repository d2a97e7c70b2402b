"""The typed client for internal teams: ``LiveComments`` blocks, ``AsyncLiveComments`` is for asyncio; otherwise they
are the same.

    with LiveComments(core="core:7101", fanout="fanout:7201", storage="storage:7301", token=jwt) as live:
        live.post("demo", "hi")
        for event in live.watch("demo"):
            match event:
                case Snapshot(comments=comments) | CommentsPosted(comments=comments):
                    ...

A service that is away is asked again, with jitter, until the call's deadline; a post keeps its ``request_id``
meanwhile, so it is never stored twice. What stays refused is a ``LiveCommentsError``, a class for each family of
reasons.
"""

from livecomments.client.asynchronous import AsyncLiveComments, AsyncWatch
from livecomments.client.blocking import LiveComments, Watch
from livecomments.client.connection import Closed
from livecomments.client.errors import (
    Conflict,
    InvalidRequest,
    LiveCommentsError,
    NotConfirmed,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from livecomments.client.feed import (
    CommentDeleted,
    CommentPinned,
    CommentsPosted,
    CommentUnpinned,
    Degraded,
    Disconnected,
    FeedEvent,
    Omitted,
    Snapshot,
    StreamEnded,
    StreamEnding,
    StreamUpdated,
    Viewers,
)
from livecomments.client.stream_requests import StreamStatus
from livecomments.errors import FieldError, RateLimit, Reason

__all__ = [
    "AsyncLiveComments",
    "AsyncWatch",
    "Closed",
    "CommentDeleted",
    "CommentPinned",
    "CommentUnpinned",
    "CommentsPosted",
    "Conflict",
    "Degraded",
    "Disconnected",
    "FeedEvent",
    "FieldError",
    "InvalidRequest",
    "LiveComments",
    "LiveCommentsError",
    "NotConfirmed",
    "NotFound",
    "Omitted",
    "PermissionDenied",
    "RateLimit",
    "RateLimited",
    "Reason",
    "Snapshot",
    "StreamEnded",
    "StreamEnding",
    "StreamStatus",
    "StreamUpdated",
    "Unauthenticated",
    "Unavailable",
    "Viewers",
    "Watch",
]
