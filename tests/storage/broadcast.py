"""Streams, comments and log messages for storage's tests."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import Message
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from livecomments.cursor import Cursor
from livecomments.log import Shard
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
from livecomments.v1.history_service_pb2 import ListCommentsRequest
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub
from storage.store import StoredComment

STARTED_AT_MS = 1_800_000_000_000
CALL_S = 10
HOUR_MS = 3_600_000

_numbers = itertools.count(1)


def comment_id_at(posted_at_ms: int) -> str:
    """A UUIDv7 of that moment, unlike any other of this process."""
    digits = f"{posted_at_ms:012x}7{0:03x}8{next(_numbers):015x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def comment(offset_ms: int, stream_id: str = "demo", text: str = "hello") -> Comment:
    posted_at_ms = STARTED_AT_MS + offset_ms
    return Comment(
        comment_id=comment_id_at(posted_at_ms),
        stream_id=stream_id,
        author_id="ann",
        author_name="Ann",
        text=text,
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


def deleted(comment_id: str) -> EventBatch:
    event = Event()
    event.deleted.comment_id = comment_id
    return EventBatch(events=[event])


def ended(offset_ms: int) -> EventBatch:
    event = Event()
    event.ended.ended_at_ms = STARTED_AT_MS + offset_ms
    return EventBatch(events=[event])


def ids(comments: "list[Comment] | tuple[StoredComment, ...]") -> list[str]:
    return [item.comment_id for item in comments]


async def create_stream(
    client: Client,
    stream_id: str = "demo",
    visibility: StreamVisibility.ValueType = STREAM_VISIBILITY_PUBLIC,
    host_id: str = "host",
) -> None:
    """What core does when a stream is created."""
    stream = Stream(
        stream_id=stream_id,
        host_id=host_id,
        state=STREAM_STATE_LIVE,
        visibility=visibility,
        started_at_ms=STARTED_AT_MS,
    )
    await (await open_bucket(client, BUCKET, 1)).put(stream_id, stream.SerializeToString())


async def publish(js: JetStreamContext, shard: Shard, batch: EventBatch | bytes, stream_id: str = "demo") -> int:
    """Commits a message to the log; repeats it until JetStream has said that it is stored. Returns its sequence."""
    data = batch if isinstance(batch, bytes) else batch.SerializeToString()
    headers = {"Nats-Msg-Id": str(next(_numbers))}
    async with asyncio.timeout(30):
        while True:
            try:
                return (await js.publish(shard.subject(stream_id), data, 1, headers=headers)).seq
            except (NatsError, TimeoutError):
                await asyncio.sleep(0.05)


class History:
    """A client of one storage process."""

    def __init__(self, stub: HistoryServiceStub, metadata: tuple[tuple[str, str], ...] = ()) -> None:
        self.stub = stub
        self.metadata = metadata

    async def call(self, method: str, request: Message) -> Any:
        return await getattr(self.stub, method)(request, timeout=CALL_S, metadata=self.metadata)

    async def all_of(
        self, stream_id: str = "demo", page_size: int = 0, start: int = 0, duration: int = HOUR_MS
    ) -> list[Comment]:
        """A window, page after page."""
        request = ListCommentsRequest(
            stream_id=stream_id, start_offset_ms=start, duration_ms=duration, page_size=page_size
        )
        found: list[Comment] = []
        while True:
            answer = await self.stub.ListComments(request, timeout=CALL_S, metadata=self.metadata)
            assert len(answer.comments) <= (page_size or 200)
            found += answer.comments
            request.page_token = answer.next_page_token
            if not answer.next_page_token:
                return found

    async def through(self, stream_id: str = "demo") -> Cursor:
        request = ListCommentsRequest(stream_id=stream_id, duration_ms=1, page_size=1)
        answer = await self.stub.ListComments(request, timeout=CALL_S, metadata=self.metadata)
        return Cursor.parse(answer.through_cursor)

    async def written(self, seq: int, stream_id: str = "demo") -> None:
        """Returns when the store holds the log through ``seq``; a storage that is away is asked again."""

        async def reached() -> bool:
            try:
                return (await self.through(stream_id)).seq >= seq
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                return False

        await until(reached, f"written through {seq}")


async def until(condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float = 25) -> None:
    """Returns once the condition holds; fails after the deadline, naming what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def history_of(address: str, *metadata: tuple[str, str]) -> AsyncIterator[History]:
    async with grpc.aio.insecure_channel(address) as channel:
        yield History(HistoryServiceStub(channel), metadata)


def as_user(settings: Settings, user_id: str, role: str = "viewer", streams: tuple[str, ...] = ()) -> tuple[str, str]:
    token = settings.token_key().issue(user_id, role=role, ttl_s=60, streams=streams)
    return ("authorization", f"Bearer {token}")
