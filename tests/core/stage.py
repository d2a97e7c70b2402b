"""A stream's log, and cores that come to it, each step taken by hand, against a real nats-server."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from nats.aio.client import Client

from core.fence import Fence
from core.limits import UserRate
from core.requests import request_digest
from core.stream_log import StreamLog
from core.streams import StreamStore, open_store
from core.summaries import StreamSummaries, open_summaries
from livecomments.log import connect, open_log
from livecomments.registry import Registry
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import STREAM_STATE_LIVE, EventBatch, Stream
from tests.processes import NatsServer

START_MS = 1_700_000_000_000
Entry = tuple[Stream, int]
"""A stream as the registry has it, and its revision."""


class Stage:
    """A log, a registry, and cores that come to one stream."""

    def __init__(
        self, client: Client, stream_log: StreamLog, summaries: StreamSummaries, store: StreamStore, entry: Entry
    ) -> None:
        self.client = client
        self.log = stream_log
        self.summaries = summaries
        self.store = store
        self._stream, self._revision = entry

    async def core(self) -> Fence:
        """One more core that takes the stream over, knowing what the registry said at first."""
        fence = Fence(
            self._stream, self._revision, self.log, self.store, summaries=self.summaries, rate=UserRate(1, 10)
        )
        await fence.take_over()
        return fence

    async def registered(self) -> Stream:
        entry = await self.store.read(self._stream.stream_id)
        assert entry is not None
        return entry[0]


@asynccontextmanager
async def open_stage(nats: NatsServer, data_dir: Path) -> AsyncIterator[Stage]:
    """A stream of its own in the log of this server."""
    settings = Settings(nats_url=(nats.url,), data_dir=data_dir)
    stream = Stream(stream_id=f"s-{uuid.uuid4()}", state=STREAM_STATE_LIVE, started_at_ms=START_MS)
    async with connect(settings, "stage") as client, open_summaries(client, 1) as summaries:
        shard = (await open_log(client.jetstream(), settings)).shard_of(stream.stream_id)
        store = await open_store(client, 1, Registry())
        revision = await store.create(stream)
        stream_log = StreamLog(client, shard, stream.stream_id)
        yield Stage(client, stream_log, summaries.of(shard, stream.stream_id), store, (stream, revision))


def comments(*requests: tuple[str, str], at_ms: int = START_MS) -> EventBatch:
    """A comment of each author under each key."""
    batch = EventBatch()
    for author, key in requests:
        posted = batch.events.add().posted
        posted.request_digest = request_digest(author, key)
        posted.comment.author_id = author
        posted.comment.posted_at_ms = at_ms
    return batch
