"""A broadcast for storage's tests: what core would commit about it, and what HistoryService tells of it."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from nats.aio.client import Client
from nats.errors import Error as NatsError

from livecomments.cursor import Cursor
from livecomments.errors import Refusal
from livecomments.log import Log, open_log
from livecomments.mirror import open_bucket
from livecomments.registry import BUCKET
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import (
    STREAM_STATE_LIVE,
    STREAM_VISIBILITY_PUBLIC,
    Comment,
    Event,
    EventBatch,
    Stream,
    StreamVisibility,
)
from livecomments.v1.history_service_pb2 import (
    ExportCommentsRequest,
    GetCommentRequest,
    ListCommentsRequest,
    ListCommentsResponse,
    ListRecentCommentsRequest,
    ListRecentCommentsResponse,
)
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub
from tests.processes import PATIENCE_S

STARTED_AT_MS = 1_800_000_000_000
CALL_S = 10
HOUR_MS = 3_600_000

_numbers = itertools.count(1)


def comment_id_at(posted_at_ms: int) -> str:
    """A UUIDv7 of that moment, unlike any other of this process."""
    digits = f"{posted_at_ms:012x}7{0:03x}8{next(_numbers):015x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def comment_at(offset_ms: int, stream_id: str) -> Comment:
    posted_at_ms = STARTED_AT_MS + offset_ms
    return Comment(
        comment_id=comment_id_at(posted_at_ms),
        stream_id=stream_id,
        author_id="ann",
        author_name="Ann",
        text="Tooor!",
        posted_at_ms=posted_at_ms,
        offset_ms=offset_ms,
        lag_ms=1_500,
        meta_json='{"badge":1}',
    )


def posted(*comments: Comment) -> EventBatch:
    batch = EventBatch()
    for item in comments:
        batch.events.add().posted.comment.CopyFrom(item)
    return batch


def deleted(comment: Comment) -> EventBatch:
    event = Event()
    event.deleted.comment_id = comment.comment_id
    return EventBatch(events=[event])


def ended(offset_ms: int) -> EventBatch:
    event = Event()
    event.ended.ended_at_ms = STARTED_AT_MS + offset_ms
    return EventBatch(events=[event])


class Broadcast:
    """One stream, its log and its history."""

    def __init__(self, client: Client, log: Log, stream_id: str, stub: HistoryServiceStub) -> None:
        self.js = client.jetstream()
        self.shard = log.shard_of(stream_id)
        self.stream_id = stream_id
        self.stub = stub
        self.metadata: tuple[tuple[str, str], ...] = ()
        """Who reads: nobody in particular, at first."""

    # -- the log --

    def comments(self, *offsets_ms: int) -> list[Comment]:
        return [comment_at(offset_ms, self.stream_id) for offset_ms in offsets_ms]

    async def post(self, *comments: Comment) -> int:
        return await self.commit(posted(*comments))

    async def post_each(self, comments: list[Comment]) -> int:
        """A message for each; returns the last one's sequence."""
        return [await self.post(comment) for comment in comments][-1]

    async def delete(self, comment: Comment) -> int:
        return await self.commit(deleted(comment))

    async def end(self, offset_ms: int) -> int:
        return await self.commit(ended(offset_ms))

    async def commit(self, batch: EventBatch | bytes) -> int:
        """Publishes a message until JetStream has said that it is stored; returns its sequence."""
        data = batch if isinstance(batch, bytes) else batch.SerializeToString()
        headers = {"Nats-Msg-Id": str(next(_numbers))}
        async with asyncio.timeout(30):
            while True:
                try:
                    return (await self.js.publish(self.shard.subject(self.stream_id), data, 1, headers=headers)).seq
                except (NatsError, TimeoutError):
                    await asyncio.sleep(0.05)

    # -- its history --

    async def call(self, method: str, request: Message) -> Any:
        return await getattr(self.stub, method)(request, timeout=CALL_S, metadata=self.metadata)

    async def window(self, **request: Any) -> ListCommentsResponse:
        fields = {"stream_id": self.stream_id, "duration_ms": HOUR_MS, **request}
        return await self.call("ListComments", ListCommentsRequest(**fields))

    async def recent(self, **request: Any) -> ListRecentCommentsResponse:
        fields = {"stream_id": self.stream_id, **request}
        return await self.call("ListRecentComments", ListRecentCommentsRequest(**fields))

    async def get(self, comment_id: str) -> Comment:
        request = GetCommentRequest(stream_id=self.stream_id, comment_id=comment_id)
        return (await self.call("GetComment", request)).comment

    async def replay(self, **request: Any) -> list[Comment]:
        """A window, page after page."""
        answer = await self.window(**request)
        found = list(answer.comments)
        while answer.next_page_token:
            answer = await self.window(**request, page_token=answer.next_page_token)
            found += answer.comments
        return found

    async def export(self) -> list[list[Comment]]:
        request = ExportCommentsRequest(stream_id=self.stream_id)
        chunks = self.stub.ExportComments(request, timeout=CALL_S, metadata=self.metadata)
        return [list(chunk.comments) async for chunk in chunks]

    async def through(self) -> Cursor:
        return Cursor.parse((await self.window(page_size=1)).through_cursor)

    async def written(self, seq: int, timeout_s: float = PATIENCE_S) -> None:
        """Returns when the store holds the log through ``seq``; a storage that is away is asked again."""

        async def reached() -> bool:
            try:
                return (await self.through()).seq >= seq
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                return False

        await until(reached, f"written through {seq}", timeout_s)


async def until(condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Returns once the condition holds; fails after the deadline, naming what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.01)


async def refusal_of(call: Awaitable[object]) -> Refusal:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return Refusal.from_rpc_error(refused.value)


@asynccontextmanager
async def on_air(
    client: Client,
    settings: Settings,
    address: str,
    visibility: StreamVisibility.ValueType = STREAM_VISIBILITY_PUBLIC,
) -> AsyncIterator[Broadcast]:
    """A new stream of the user "host", as core creates it, read from the storage at ``address``."""
    stream = Stream(
        stream_id=f"stream-{next(_numbers)}",
        host_id="host",
        state=STREAM_STATE_LIVE,
        visibility=visibility,
        started_at_ms=STARTED_AT_MS,
    )
    log = await open_log(client.jetstream(), settings)
    await (await open_bucket(client, BUCKET, 1)).put(stream.stream_id, stream.SerializeToString())
    async with grpc.aio.insecure_channel(address) as channel:
        yield Broadcast(client, log, stream.stream_id, HistoryServiceStub(channel))


def bearer(settings: Settings, user_id: str, role: str = "viewer", streams: tuple[str, ...] = ()) -> tuple[str, str]:
    token = settings.token_key().issue(user_id, role=role, ttl_s=60, streams=streams)
    return ("authorization", f"Bearer {token}")
