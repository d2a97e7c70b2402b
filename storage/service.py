"""HistoryService: who may read what, and answers from the store."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal
from livecomments.identity import caller
from livecomments.log import Log
from livecomments.page_tokens import PageTokens
from livecomments.registry import StreamDirectory
from livecomments.v1.comment_pb2 import Comment, Stream
from livecomments.v1.history_service_pb2 import (
    DESCRIPTOR,
    ExportCommentsRequest,
    ExportCommentsResponse,
    GetCommentRequest,
    GetCommentResponse,
    ListCommentsRequest,
    ListCommentsResponse,
    ListRecentCommentsRequest,
    ListRecentCommentsResponse,
)
from livecomments.v1.history_service_pb2_grpc import HistoryServiceServicer, add_HistoryServiceServicer_to_server
from storage import metrics
from storage.arguments import comment_posted_at, recent_of, stream_id_of, window_of
from storage.coalesce import Coalescer
from storage.reads import from_store, jittered_ms
from storage.store import FIRST, LAST, Page, Store

Context = grpc.aio.ServicerContext[Any, Any]

_EXPORT_CHUNK = 500


class HistoryService(HistoryServiceServicer):
    """Answers from the store alone: it goes on while NATS is away, for streams that are known."""

    names = (DESCRIPTOR.services_by_name["HistoryService"].full_name,)

    def __init__(
        self, store: Store, directory: StreamDirectory, log: Log, tokens: PageTokens, tasks: asyncio.TaskGroup
    ) -> None:
        self._store = store
        self._directory = directory
        self._shards = log
        self._tokens = tokens
        self._pages: Coalescer[Page] = Coalescer(tasks, metrics.COALESCED.inc)
        self._draining = False

    def mount(self, server: grpc.aio.Server) -> None:
        add_HistoryServiceServicer_to_server(self, server)

    def drain(self) -> None:
        self._draining = True

    async def GetComment(self, request: GetCommentRequest, _context: Context) -> GetCommentResponse:
        with self._measured("GetComment"):
            stream_id = stream_id_of(request.stream_id)
            posted_at_ms = comment_posted_at(request.comment_id)
            stream = await self._readable(stream_id)
            offset_ms = posted_at_ms - stream.started_at_ms
            found = await from_store("GetComment", self._store.get(stream_id, offset_ms, request.comment_id))
            if found is None:
                raise Refusal(Reason.COMMENT_NOT_FOUND, "there is no such comment in this stream")
            return GetCommentResponse(comment=found.comment)

    async def ListComments(self, request: ListCommentsRequest, _context: Context) -> ListCommentsResponse:
        with self._measured("ListComments"):
            asked = window_of(request, self._tokens)
            await self._readable(asked.stream_id)
            shard = self._shards.shard_of(asked.stream_id).number
            page = await self._pages.read(
                asked,
                lambda: from_store(
                    "ListComments",
                    self._store.window(shard, asked.stream_id, asked.after, asked.end_offset_ms, asked.limit),
                ),
            )
            return ListCommentsResponse(
                comments=_comments_of(page),
                next_page_token=asked.token(self._tokens, page.comments[-1].place) if page.more else "",
                through_cursor=self._through(asked.stream_id, page),
                complete=page.ended,
            )

    async def ListRecentComments(
        self, request: ListRecentCommentsRequest, _context: Context
    ) -> ListRecentCommentsResponse:
        with self._measured("ListRecentComments"):
            asked = recent_of(request, self._tokens)
            await self._readable(asked.stream_id)
            shard = self._shards.shard_of(asked.stream_id).number
            page = await self._pages.read(
                asked,
                lambda: from_store(
                    "ListRecentComments", self._store.recent(shard, asked.stream_id, asked.before, asked.limit)
                ),
            )
            return ListRecentCommentsResponse(
                comments=_comments_of(page),
                next_page_token=asked.token(self._tokens, page.comments[0].place) if page.more else "",
                through_cursor=self._through(asked.stream_id, page),
                comment_seqs=[row.place.seq for row in page.comments],
                comment_indices=[row.place.index for row in page.comments],
            )

    async def ExportComments(
        self, request: ExportCommentsRequest, _context: Context
    ) -> AsyncIterator[ExportCommentsResponse]:
        """One chunk in memory at a time: gRPC takes the next only when the client has room for it."""
        with self._measured("ExportComments"):
            stream_id = stream_id_of(request.stream_id)
            await self._readable(stream_id)
            shard = self._shards.shard_of(stream_id).number
            after, more = FIRST, True
            while more:
                self._refuse_when_draining()
                chunk = self._store.window(shard, stream_id, after, LAST.offset_ms, _EXPORT_CHUNK)
                page = await from_store("ExportComments", chunk)
                if page.comments:
                    yield ExportCommentsResponse(comments=_comments_of(page))
                    after = page.comments[-1].place
                more = page.more

    async def _readable(self, stream_id: str) -> Stream:
        """The stream; raises Refusal when there is none, or the caller may not read it."""
        stream = await self._directory.find(stream_id)
        identity = caller()
        if not identity.may_watch(stream):
            if not identity.is_user:
                raise Refusal(Reason.UNAUTHENTICATED, "this stream is private: a token that names it is needed")
            raise Refusal(Reason.FORBIDDEN, "this stream is private, and the token does not name it")
        return stream

    def _through(self, stream_id: str, page: Page) -> str:
        return str(page.through or Cursor(self._shards.shard_of(stream_id).epoch, 0))

    def _refuse_when_draining(self) -> None:
        if self._draining:
            raise Refusal(Reason.DRAINING, "this server is going away", retry_after_ms=jittered_ms())

    @contextmanager
    def _measured(self, method: str) -> Iterator[None]:
        """Counts a call with its outcome, and refuses it when the server drains."""
        outcome = "FAILED"
        with metrics.READ_SECONDS.labels(method).time():
            try:
                self._refuse_when_draining()
                yield
                outcome = "OK"
            except Refusal as refusal:
                outcome = refusal.reason
                raise
            except (asyncio.CancelledError, GeneratorExit):
                outcome = "CANCELLED"
                raise
            finally:
                metrics.READS.labels(method, outcome).inc()


def _comments_of(page: Page) -> list[Comment]:
    return [row.comment for row in page.comments]
