"""Speaks to a core as host, moderator, viewer, nobody or one of our own services; reads its log."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

import grpc
import pytest
from nats.js.errors import NotFoundError

from livecomments.errors import Reason, Refusal
from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.local import nats_url
from livecomments.log import connect, open_log
from livecomments.settings import Settings
from livecomments.v1 import comment_service_pb2 as cs
from livecomments.v1 import stream_service_pb2 as ss
from livecomments.v1.comment_pb2 import Comment, EventBatch, Stream
from livecomments.v1.comment_service_pb2_grpc import CommentServiceStub
from livecomments.v1.stream_service_pb2_grpc import StreamServiceStub
from tests.core.waiting import until
from tests.processes import Service

T = TypeVar("T")
Metadata = tuple[tuple[str, str], ...]


class CoreClient:
    """Open with ``open_client()``."""

    def __init__(self, channel: grpc.aio.Channel, settings: Settings, metrics: str) -> None:
        self._metrics = metrics
        self._key = settings.token_key()
        self.settings = settings
        self.comments = CommentServiceStub(channel)
        self.streams = StreamServiceStub(channel)
        self.service: Metadata = ((SERVICE_TOKEN_KEY, settings.service_token()),)

    def user(self, user_id: str, role: str = "viewer", *streams: str, ttl_s: float = 600) -> Metadata:
        token = self._key.issue(user_id, name=f"{user_id}'s name", role=role, ttl_s=ttl_s, streams=streams)
        return (("authorization", f"Bearer {token}"),)

    @property
    def host(self) -> Metadata:
        return self.user("hanna", "host")

    async def create(self, stream_id: str = "", **fields: object) -> Stream:
        request = ss.CreateStreamRequest(
            stream_id=stream_id or f"s-{uuid.uuid4()}",
            **{"title": "A title", **fields},  # type: ignore[arg-type]
        )
        return (await self.streams.CreateStream(request, metadata=self.host, timeout=10)).stream

    async def post(
        self, stream_id: str, text: str = "hello", *, by: Metadata | None = None, key: str = "", **fields: object
    ) -> cs.PostCommentResponse:
        request = cs.PostCommentRequest(stream_id=stream_id, text=text, request_id=key, **fields)  # type: ignore[arg-type]
        return await self.comments.PostComment(request, metadata=self.user("ann") if by is None else by, timeout=10)

    async def end(self, stream_id: str, notice_s: int = 0) -> Stream:
        request = ss.EndStreamRequest(stream_id=stream_id, notice_s=notice_s)
        return (await self.streams.EndStream(request, metadata=self.host, timeout=10)).stream

    async def get(self, stream_id: str) -> Stream:
        request = ss.GetStreamRequest(stream_id=stream_id)
        return (await self.streams.GetStream(request, metadata=self.service, timeout=10)).stream

    @asynccontextmanager
    async def ingest(self) -> "AsyncIterator[Ingest]":
        call = self.comments.IngestComments(metadata=self.service)
        try:
            yield Ingest(call)
        finally:
            call.cancel()
            await call.code()

    async def metric(self, sample: str) -> float:
        """A sample by its name and labels, as the metrics page shows it; 0 when it is not there."""
        text = await asyncio.to_thread(lambda: urlopen(f"http://{self._metrics}/metrics").read().decode())
        values = [line.rpartition(" ")[2] for line in text.splitlines() if line.rpartition(" ")[0] == sample]
        return float(values[0]) if values else 0.0

    async def logged(self, stream_id: str) -> list[tuple[int, EventBatch]]:
        """All that the log holds of a stream, in order, with the sequences."""
        async with connect(self.settings, "test") as client:
            js = client.jetstream()
            shard = (await open_log(js, self.settings)).shard_of(stream_id)
            state = (await js.stream_info(shard.name)).state
            logged, seq = [], state.first_seq
            while seq <= state.last_seq:
                try:
                    message = await js.get_msg(shard.name, max(seq, 1), shard.subject(stream_id), next=True)
                except NotFoundError:
                    break
                assert message.seq is not None
                logged.append((message.seq, EventBatch.FromString(message.data or b"")))
                seq = message.seq + 1
        return logged

    async def logged_comments(self, stream_id: str) -> list[Comment]:
        return [
            event.posted.comment
            for _, batch in await self.logged(stream_id)
            for event in batch.events
            if event.HasField("posted")
        ]

    async def logged_kinds(self, stream_id: str) -> list[str]:
        return [event.WhichOneof("kind") or "" for _, batch in await self.logged(stream_id) for event in batch.events]


class Ingest:
    """One IngestComments call."""

    def __init__(self, call: "grpc.aio.StreamStreamCall[cs.IngestCommentsRequest, cs.IngestCommentsResponse]") -> None:
        self.call = call
        self._tags = itertools.count(1)
        self._answers: dict[int, cs.IngestResult] = {}

    def item(
        self, stream_id: str, text: str = "hello", author: str = "ann", key: str = "", **fields: object
    ) -> cs.IngestItem:
        post = cs.PostCommentRequest(stream_id=stream_id, text=text, request_id=key)
        return cs.IngestItem(tag=next(self._tags), author_id=author, post=post, **fields)  # type: ignore[arg-type]

    async def send(self, items: Sequence[cs.IngestItem]) -> None:
        await self.call.write(cs.IngestCommentsRequest(items=items))

    async def answers(self, items: Sequence[cs.IngestItem]) -> list[cs.IngestResult]:
        """Sends the items and waits for all their answers, in the order of the items."""
        await self.send(items)
        return await self.answers_of(items)

    def has_answered(self, item: cs.IngestItem) -> bool:
        """Its answer was read on the way to another's."""
        return item.tag in self._answers

    async def answers_of(self, items: Sequence[cs.IngestItem]) -> list[cs.IngestResult]:
        """Waits for the answers of items that were sent; those of others are kept until they are asked for."""
        wanted = {item.tag for item in items}
        while not wanted <= self._answers.keys():
            response = await self.call.read()
            assert isinstance(response, cs.IngestCommentsResponse), "the call ended early"
            for result in response.results:
                assert result.tag not in self._answers, "an item was answered twice"
                self._answers[result.tag] = result
        return [self._answers[item.tag] for item in items]


_QUICK = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 100),
    # Otherwise channels to one address share a connection and its backoff.
    ("grpc.use_local_subchannel_pool", 1),
)


@asynccontextmanager
async def open_client(core: Service, data_dir: Path) -> AsyncIterator[CoreClient]:
    """A client of a running core."""
    nats = nats_url(data_dir)
    assert nats is not None
    settings = Settings(nats_url=(nats,), data_dir=data_dir)
    async with grpc.aio.insecure_channel(core.address, options=_QUICK) as channel:
        yield CoreClient(channel, settings, core.metrics)


async def post_until_answered(core: CoreClient, stream_id: str, text: str, key: str) -> cs.PostCommentResponse:
    """Repeats the host's post with its key until it is answered."""
    return await until_answered(lambda: core.post(stream_id, text, key=key, by=core.host), "the post is taken")


async def until_answered(call: Callable[[], Awaitable[T]], what: str) -> T:
    """Repeats a call while it is refused with what is 503 over HTTP, as clients do."""

    async def attempt() -> T | None:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            refusal = Refusal.from_rpc_error(error)
            if refusal.reason.http_status != 503:
                raise
            return None

    return await until(attempt, what)


@asynccontextmanager
async def refused(reason: Reason, field: str = "") -> AsyncIterator[list[Refusal]]:
    """The block is refused for this reason (and field); the refusal can be looked at afterwards."""
    caught: list[Refusal] = []
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        yield caught
    refusal = Refusal.from_rpc_error(raised.value)
    assert refusal.reason is reason, f"{refusal} ({raised.value.details()})"
    assert not field or field in [one.field for one in refusal.fields], refusal
    assert raised.value.code() is reason.grpc_code
    caught.append(refusal)
