"""An asyncio client for internal teams.

    async with LiveComments(core="core:7101", fanout="fanout:7201", storage="storage:7301", token=jwt) as live:
        await live.post("demo", "hi")
        async for event in live.watch("demo"):
            match event:
                case Snapshot(comments=comments) | CommentsPosted(comments=comments):
                    ...

Every method raises ``livecomments.errors.Refusal``, and nothing of grpc's. A service that is away is tried again, with
jitter, until the call's deadline; a post keeps its ``request_id`` meanwhile, so it is never stored twice.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar

import grpc

from livecomments.backoff import Backoff
from livecomments.calls import CHANNEL_OPTIONS, SERVICE_TOKEN_KEY, Metadata, Method, answer, insist, is_passing
from livecomments.cursor import BadCursor
from livecomments.errors import Reason, Refusal
from livecomments.feed import (
    CommentDeleted,
    CommentPinned,
    CommentsPosted,
    CommentUnpinned,
    Disconnected,
    Feed,
    FeedEvent,
    Omitted,
    Snapshot,
    StreamEnded,
    StreamEnding,
    StreamUpdated,
    Viewers,
)
from livecomments.v1.comment_pb2 import STREAM_VISIBILITY_PUBLIC, Comment, Stream, StreamVisibility
from livecomments.v1.comment_service_pb2 import (
    BanUserRequest,
    DeleteCommentRequest,
    PostCommentRequest,
    PostCommentResponse,
    UnbanUserRequest,
)
from livecomments.v1.comment_service_pb2_grpc import CommentServiceStub
from livecomments.v1.feed_service_pb2 import WatchRequest, WatchResponse
from livecomments.v1.feed_service_pb2_grpc import FeedServiceStub
from livecomments.v1.history_service_pb2 import (
    ListCommentsRequest,
    ListRecentCommentsRequest,
    ListRecentCommentsResponse,
)
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub
from livecomments.v1.stream_service_pb2 import CreateStreamRequest, EndStreamRequest, GetStreamRequest
from livecomments.v1.stream_service_pb2_grpc import StreamServiceStub

if TYPE_CHECKING:
    # Types of the stubs on an asyncio channel; they exist in the .pyi files alone.
    from livecomments.v1.comment_service_pb2_grpc import CommentServiceAsyncStub
    from livecomments.v1.feed_service_pb2_grpc import FeedServiceAsyncStub
    from livecomments.v1.history_service_pb2_grpc import HistoryServiceAsyncStub
    from livecomments.v1.stream_service_pb2_grpc import StreamServiceAsyncStub

__all__ = [
    "CommentDeleted",
    "CommentPinned",
    "CommentUnpinned",
    "CommentsPosted",
    "Disconnected",
    "FeedEvent",
    "LiveComments",
    "Omitted",
    "Refusal",
    "Snapshot",
    "StreamEnded",
    "StreamEnding",
    "StreamUpdated",
    "Viewers",
]

SILENCE_MAX_S = 40.0
"""A feed shows life every 15 s; one that is silent for so long is dead."""
_WINDOW_MAX_MS = 3_600_000

Req = TypeVar("Req")
Resp = TypeVar("Resp")


class LiveComments:
    """A connection to the services. Use it as a context manager, within one event loop, by any number of tasks."""

    def __init__(
        self,
        *,
        core: str | None = None,
        fanout: str | None = None,
        storage: str | None = None,
        token: str | Callable[[], str] = "",
        service_token: str = "",
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """The addresses are gRPC targets (``host:port``); leave out those that you don't need.

        ``token`` is the caller's JWT, or gives one that is valid now: watches outlive tokens. Empty: nobody, who may
        watch and read public streams. ``service_token`` is for a service of the house, which then rules every stream
        (a caller's JWT beside it makes it act as that user). ``credentials`` turn TLS on.
        """
        self._targets = {"core": core, "fanout": fanout, "storage": storage}
        self._token = token
        self._service_token = service_token
        self._credentials = credentials
        self._channels = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channels.aclose()

    # -- core --

    async def post(
        self,
        stream_id: str,
        text: str,
        *,
        lag_ms: int = 0,
        meta: Mapping[str, object] | None = None,
        request_id: str | None = None,
        deadline_s: float = 10.0,
    ) -> PostCommentResponse:
        """Posts a comment as the caller; returns it with the cursor of its place in the log, once it is on disk.

        Raises Refusal; NOT_CONFIRMED when the deadline passed and it may or may not be stored: call again with the
        same ``request_id`` (made here when it is None) within two minutes to find out.
        """
        request = PostCommentRequest(
            stream_id=stream_id,
            text=text,
            request_id=request_id or str(uuid.uuid4()),
            lag_ms=lag_ms,
            meta_json="" if meta is None else json.dumps(meta, ensure_ascii=False, separators=(",", ":")),
            client_ts_ms=time.time_ns() // 1_000_000,
        )
        return await self._write(self._comments.PostComment, request, deadline_s)

    async def create_stream(
        self,
        title: str,
        *,
        stream_id: str | None = None,
        visibility: StreamVisibility.ValueType = STREAM_VISIBILITY_PUBLIC,
        slow_mode_s: int = 0,
        deadline_s: float = 10.0,
    ) -> Stream:
        """Opens a stream whose host is the caller; the token's role must be host. Safe to repeat with the same id."""
        request = CreateStreamRequest(
            # An id of our own makes the repetition of a lost call find the stream that the first one made.
            stream_id=stream_id or str(uuid.uuid4()),
            title=title,
            visibility=visibility,
            slow_mode_s=slow_mode_s,
        )
        return (await self._write(self._streams.CreateStream, request, deadline_s)).stream

    async def end_stream(self, stream_id: str, *, notice_s: int = 0, deadline_s: float = 10.0) -> Stream:
        """Ends a stream, or announces its end in ``notice_s`` seconds."""
        request = EndStreamRequest(stream_id=stream_id, notice_s=notice_s)
        return (await self._write(self._streams.EndStream, request, deadline_s)).stream

    async def delete_comment(self, stream_id: str, comment_id: str, *, deadline_s: float = 10.0) -> None:
        """Deletes a comment for everyone and for ever; as its author, as who rules the stream, or as a service.

        Repeatable.
        """
        request = DeleteCommentRequest(stream_id=stream_id, comment_id=comment_id)
        await self._write(self._comments.DeleteComment, request, deadline_s)

    async def ban_user(self, stream_id: str, user_id: str, *, deadline_s: float = 10.0) -> None:
        """Refuses a user's posts in a stream from now on, within 1 s at every core: who rules it may, and services.
        Repeatable.
        """
        request = BanUserRequest(stream_id=stream_id, user_id=user_id)
        await self._write(self._comments.BanUser, request, deadline_s)

    async def unban_user(self, stream_id: str, user_id: str, *, deadline_s: float = 10.0) -> None:
        """Lifts a ban; one that is not there is fine."""
        request = UnbanUserRequest(stream_id=stream_id, user_id=user_id)
        await self._write(self._comments.UnbanUser, request, deadline_s)

    async def stream(self, stream_id: str, *, deadline_s: float = 10.0) -> Stream:
        """The stream as it stands."""
        return (await self._read(self._streams.GetStream, GetStreamRequest(stream_id=stream_id), deadline_s)).stream

    # -- fanout --

    async def watch(self, stream_id: str, cursor: str | None = None) -> AsyncIterator[FeedEvent]:
        """The stream's feed, from ``cursor`` or with the latest comments first, until the stream ends.

        Reconnects for ever and resumes where it was; each event of the log comes once. A Snapshot comes first on
        each connection; one with ``gap`` says that the feed could not be resumed. Raises Refusal for what no retry
        mends (no such stream, no right to watch, a bad cursor).
        """
        feed, backoff = Feed(cursor or ""), Backoff()
        while True:
            try:
                request = WatchRequest(stream_id=stream_id, cursor=feed.cursor)
                async with aclosing(self._responses(request)) as responses:
                    async for response in responses:
                        backoff.reset()
                        for event in feed.take(response):
                            yield event
                            if isinstance(event, StreamEnded):
                                return
                if feed.over:
                    return
                why = Refusal(Reason.DRAINING, "the feed was closed")
            except BadCursor:
                why = Refusal(Reason.OVERLOADED, "the feed did not begin with a cursor")
            except Refusal as refusal:
                if not is_passing(refusal):
                    raise
                why = refusal
            pause = backoff.next_s(least_s=why.retry_after_ms / 1000 if why.reason is Reason.OVERLOADED else 0)
            yield Disconnected(why, pause)
            await asyncio.sleep(pause)

    async def _responses(self, request: WatchRequest) -> AsyncGenerator[WatchResponse, None]:
        call = self._feeds.Watch(request, metadata=self._metadata())
        try:
            while True:
                response = await answer(asyncio.wait_for(call.read(), SILENCE_MAX_S), Reason.OVERLOADED)
                if not isinstance(response, WatchResponse):
                    return
                yield response
        except TimeoutError:
            raise Refusal(Reason.OVERLOADED, f"the feed was silent for {SILENCE_MAX_S:.0f} s") from None
        finally:
            call.cancel()

    # -- storage --

    async def comments(
        self, stream_id: str, *, start: float = 0.0, duration: float, deadline_s: float = 10.0
    ) -> AsyncIterator[Comment]:
        """The stored comments whose offset lies in [start, start + duration), seconds since the stream's start.

        In the log's order, each once, fetched page by page; ``deadline_s`` holds for each page.
        """
        begin_ms, end_ms = round(start * 1000), round((start + duration) * 1000)
        for window_ms in range(begin_ms, end_ms, _WINDOW_MAX_MS):
            request = ListCommentsRequest(
                stream_id=stream_id,
                start_offset_ms=window_ms,
                duration_ms=min(_WINDOW_MAX_MS, end_ms - window_ms),
                page_size=1_000,
            )
            while True:
                page = await self._read(self._history.ListComments, request, deadline_s)
                for comment in page.comments:
                    yield comment
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token

    async def recent(
        self, stream_id: str, *, limit: int = 100, page_token: str = "", deadline_s: float = 10.0
    ) -> ListRecentCommentsResponse:
        """The latest comments, oldest first; its ``next_page_token`` leads to older ones.

        A watch from its ``through_cursor`` continues without a gap.
        """
        request = ListRecentCommentsRequest(stream_id=stream_id, page_size=limit, page_token=page_token)
        return await self._read(self._history.ListRecentComments, request, deadline_s)

    # -- calls --

    async def _read(self, method: Method[Req, Resp], request: Req, deadline_s: float) -> Resp:
        return await insist(
            method, request, metadata=self._metadata(), deadline_s=deadline_s, unanswered=Reason.OVERLOADED
        )

    async def _write(self, method: Method[Req, Resp], request: Req, deadline_s: float) -> Resp:
        return await insist(
            method, request, metadata=self._metadata(), deadline_s=deadline_s, unanswered=Reason.NOT_CONFIRMED
        )

    def _metadata(self) -> Metadata:
        token = self._token if isinstance(self._token, str) else self._token()
        user = (("authorization", f"Bearer {token}"),) if token else ()
        return (*user, (SERVICE_TOKEN_KEY, self._service_token)) if self._service_token else user

    # -- channels, opened when they are first needed --

    @cached_property
    def _core(self) -> grpc.aio.Channel:
        return self._open("core")

    @cached_property
    def _comments(self) -> "CommentServiceAsyncStub":
        return CommentServiceStub(self._core)

    @cached_property
    def _streams(self) -> "StreamServiceAsyncStub":
        return StreamServiceStub(self._core)

    @cached_property
    def _feeds(self) -> "FeedServiceAsyncStub":
        return FeedServiceStub(self._open("fanout"))

    @cached_property
    def _history(self) -> "HistoryServiceAsyncStub":
        return HistoryServiceStub(self._open("storage"))

    def _open(self, service: str) -> grpc.aio.Channel:
        target = self._targets[service]
        if target is None:
            raise ValueError(f"LiveComments was made without the address of {service}")
        channel = (
            grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
            if self._credentials is None
            else grpc.aio.secure_channel(target, self._credentials, options=CHANNEL_OPTIONS)
        )
        self._channels.push_async_callback(channel.close)
        return channel
