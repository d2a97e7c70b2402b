"""What may be asked of the services about comments: arguments in, a Call out. Nothing is sent here.

``LiveComments`` and ``AsyncLiveComments`` have these as their methods, with these arguments; the return type says what
the caller gets: of a ``Call[T]`` a ``T``, of a ``Call[Page[T]]`` an iterator of ``T`` over all pages.
"""

import json
import time
import uuid
from collections.abc import Mapping

from google.protobuf.message import Message

from livecomments.client.call import DEADLINE_S, Call, Page, Rpc, Service
from livecomments.client.following import Following
from livecomments.errors import Reason
from livecomments.v1.comment_pb2 import Comment
from livecomments.v1.comment_service_pb2 import (
    BanUserRequest,
    DeleteCommentRequest,
    PinCommentRequest,
    PinCommentResponse,
    PostCommentRequest,
    PostCommentResponse,
    UnbanUserRequest,
    UnpinCommentRequest,
)
from livecomments.v1.history_service_pb2 import (
    GetCommentRequest,
    GetCommentResponse,
    ListCommentsRequest,
    ListCommentsResponse,
    ListRecentCommentsRequest,
    ListRecentCommentsResponse,
)

_WINDOW_MAX_MS = 3_600_000
_COMMENTS_A_PAGE = 1_000


# -- comments --


def post(
    stream_id: str,
    text: str,
    *,
    lag_ms: int = 0,
    meta: Mapping[str, object] | None = None,
    request_id: str | None = None,
    deadline_s: float = DEADLINE_S,
) -> Call[PostCommentResponse]:
    """Posts a comment as the caller; gives it with the cursor of its place in the log, once it is on disk.

    ``lag_ms`` says how far behind live the author's player is, ``meta`` is a JSON object of at most 1 KiB.
    ``request_id`` names the post: repeated under the same one within two minutes, it is stored once. It is made here
    when it is None, and then repeats within the deadline are safe.

    Raises ``NotConfirmed`` when the deadline passed and the comment may or may not be stored: post once more with the
    error's ``request_id`` to find out.
    """
    key = request_id or str(uuid.uuid4())
    request = PostCommentRequest(
        stream_id=stream_id,
        text=text,
        request_id=key,
        lag_ms=lag_ms,
        meta_json="" if meta is None else json.dumps(meta, ensure_ascii=False, separators=(",", ":")),
        client_ts_ms=time.time_ns() // 1_000_000,
    )
    rpc = Rpc(Service.CORE, "/livecomments.v1.CommentService/PostComment")
    return Call(rpc, request, PostCommentResponse.FromString, deadline_s, Reason.NOT_CONFIRMED, key)


def delete_comment(stream_id: str, comment_id: str, *, deadline_s: float = DEADLINE_S) -> Call[None]:
    """Deletes a comment for everyone and for ever; for its author, those who rule the stream, and services.

    Repeatable.
    """
    return _comments("DeleteComment", DeleteCommentRequest(stream_id=stream_id, comment_id=comment_id), deadline_s)


def pin_comment(stream_id: str, comment_id: str, *, deadline_s: float = DEADLINE_S) -> Call[Comment]:
    """Pins a comment above the others, in place of the one before; gives it. Repeatable."""
    request = PinCommentRequest(stream_id=stream_id, comment_id=comment_id)
    rpc = Rpc(Service.CORE, "/livecomments.v1.CommentService/PinComment")
    return Call(
        rpc, request, lambda data: PinCommentResponse.FromString(data).comment, deadline_s, Reason.NOT_CONFIRMED
    )


def unpin_comment(stream_id: str, *, deadline_s: float = DEADLINE_S) -> Call[None]:
    """Unpins the comment that is pinned; none is fine."""
    return _comments("UnpinComment", UnpinCommentRequest(stream_id=stream_id), deadline_s)


def ban_user(stream_id: str, user_id: str, *, deadline_s: float = DEADLINE_S) -> Call[None]:
    """Refuses a user's posts in a stream from now on, within 1 s at every core; for those who rule it, and services.

    Repeatable.
    """
    return _comments("BanUser", BanUserRequest(stream_id=stream_id, user_id=user_id), deadline_s)


def unban_user(stream_id: str, user_id: str, *, deadline_s: float = DEADLINE_S) -> Call[None]:
    """Lifts a ban; one that is not there is fine."""
    return _comments("UnbanUser", UnbanUserRequest(stream_id=stream_id, user_id=user_id), deadline_s)


def _comments(method: str, request: Message, deadline_s: float) -> Call[None]:
    rpc = Rpc(Service.CORE, f"/livecomments.v1.CommentService/{method}")
    return Call(rpc, request, _nothing, deadline_s, Reason.NOT_CONFIRMED)


def _nothing(_: bytes) -> None:
    """The answer says no more than that it is done."""


# -- the feed --


def watch(stream_id: str, cursor: str | None = None) -> Following:
    """The stream's feed, from ``cursor`` or with the latest comments first, until the stream ends.

    Connects again for as long as it takes, and resumes where it was: each event of the log comes once, in order. A
    ``Snapshot`` comes first on each connection; one with ``gap`` says that the feed could not be resumed, and what it
    does not tell: read that from the replay. ``Disconnected`` says that, and why, a connection was lost.

    Raises ``LiveCommentsError`` for what no coming back mends: no such stream, no right to watch, a bad cursor. What
    the token's callback raises comes through; the next event can then still be asked for.
    """
    return Following(stream_id, cursor or "")


# -- history --


def get_comment(stream_id: str, comment_id: str, *, deadline_s: float = DEADLINE_S) -> Call[Comment]:
    """One stored comment."""
    return Call(
        _history("GetComment"),
        GetCommentRequest(stream_id=stream_id, comment_id=comment_id),
        lambda data: GetCommentResponse.FromString(data).comment,
        deadline_s,
        Reason.OVERLOADED,
    )


def comments(
    stream_id: str, *, start: float = 0.0, duration: float, deadline_s: float = DEADLINE_S
) -> Call[Page[Comment]]:
    """The stored comments whose offset lies in [start, start + duration), seconds since the stream's start.

    In the log's order, each once; ``deadline_s`` holds for each page of a thousand.
    """
    end_ms = round((start + duration) * 1000)

    def page(start_ms: int, token: str) -> Call[Page[Comment]]:
        window_ms = min(_WINDOW_MAX_MS, end_ms - start_ms)
        next_ms = start_ms + window_ms

        def read(data: bytes) -> Page[Comment]:
            answer = ListCommentsResponse.FromString(data)
            following = None
            if answer.next_page_token:
                following = page(start_ms, answer.next_page_token)
            elif next_ms < end_ms:
                following = page(next_ms, "")
            return Page(tuple(answer.comments), following)

        request = ListCommentsRequest(
            stream_id=stream_id,
            start_offset_ms=start_ms,
            duration_ms=window_ms,
            page_size=_COMMENTS_A_PAGE,
            page_token=token,
        )
        return Call(_history("ListComments"), request, read, deadline_s, Reason.OVERLOADED)

    return page(round(start * 1000), "")


def recent(
    stream_id: str, *, limit: int = 100, page_token: str = "", deadline_s: float = DEADLINE_S
) -> Call[ListRecentCommentsResponse]:
    """The latest comments, at most 200, oldest first; ``page_token``, the last answer's ``next_page_token``, leads to
    older ones.

    A watch from the first answer's ``through_cursor`` goes on without a gap.
    """
    request = ListRecentCommentsRequest(stream_id=stream_id, page_size=limit, page_token=page_token)
    return Call(
        _history("ListRecentComments"),
        request,
        ListRecentCommentsResponse.FromString,
        deadline_s,
        Reason.OVERLOADED,
    )


def _history(method: str) -> Rpc:
    return Rpc(Service.STORAGE, f"/livecomments.v1.HistoryService/{method}")
