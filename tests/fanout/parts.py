"""What fanout's tests are made of: a log that is written to, a fanout that is served, subscribers that remember."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import grpc
import uuid_utils
from grpc_health.v1 import health_pb2, health_pb2_grpc
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import RePublish

from fanout.service import open_service
from fanout.settings import FanoutSettings
from livecomments.cursor import Cursor
from livecomments.identity import SERVICE_TOKEN_KEY, Authenticator, AuthInterceptor
from livecomments.log import Shard, connect, open_log
from livecomments.mirror import open_bucket
from livecomments.refusals import RefusalInterceptor
from livecomments.registry import BUCKET
from livecomments.serving import SERVER_OPTIONS
from livecomments.settings import Settings
from livecomments.token_check import check_of
from livecomments.v1 import feed_service_pb2 as pb
from livecomments.v1.comment_pb2 import (
    STREAM_STATE_ENDED,
    STREAM_STATE_LIVE,
    STREAM_VISIBILITY_PUBLIC,
    Comment,
    Event,
    EventBatch,
    Stream,
)
from livecomments.v1.feed_service_pb2_grpc import FeedServiceStub

if TYPE_CHECKING:
    from livecomments.v1.feed_service_pb2_grpc import FeedServiceAsyncStub

    RelayStream = grpc.aio.StreamStreamCall[pb.RelayRequest, pb.RelayResponse]

T = TypeVar("T")
WITHIN_S = 10.0


async def soon(find: Callable[[], T | None], what: str, within_s: float = WITHIN_S) -> T:
    """The first truthy value that ``find`` gives; fails after the deadline, naming what was waited for."""
    deadline = time.monotonic() + within_s
    while not (found := find()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.005)
    return found


def comment(stream_id: str, text: str) -> Comment:
    return Comment(
        comment_id=str(uuid_utils.uuid7()),
        stream_id=stream_id,
        author_id="u1",
        author_name="Una",
        text=text,
        posted_at_ms=int(time.time() * 1000),
    )


def posted(*comments: Comment) -> EventBatch:
    batch = EventBatch()
    for one in comments:
        event = batch.events.add()
        event.posted.comment.CopyFrom(one)
        event.posted.request_digest = 7
    return batch


class Source:
    """Writes the log and the registry, as core does."""

    def __init__(self, client: Client, shard: Shard) -> None:
        self.client = client
        self.js = client.jetstream()
        self.shard = shard

    async def make_stream(self, stream_id: str, **members: object) -> Stream:
        stream = Stream(
            stream_id=stream_id,
            title="A broadcast",
            host_id="host",
            state=STREAM_STATE_LIVE,
            visibility=STREAM_VISIBILITY_PUBLIC,
            started_at_ms=int(time.time() * 1000),
        )
        stream.MergeFrom(Stream(**members))  # type: ignore[arg-type]
        await self.register(stream)
        return stream

    async def register(self, stream: Stream) -> None:
        bucket = await open_bucket(self.client, BUCKET, 1)
        await bucket.put(stream.stream_id, stream.SerializeToString())

    async def commit(self, stream_id: str, batch: EventBatch) -> int:
        """The message's sequence."""
        ack = await self.js.publish(self.shard.subject(stream_id), batch.SerializeToString())
        return ack.seq

    async def commit_surely(self, stream_id: str, batch: EventBatch, message_id: str) -> int:
        """Repeats a commit until it is known; stored once."""
        while True:
            try:
                ack = await self.js.publish(
                    self.shard.subject(stream_id),
                    batch.SerializeToString(),
                    headers={"Nats-Msg-Id": message_id},
                    timeout=1,
                )
            except (NatsError, TimeoutError):
                await asyncio.sleep(0.05)
            else:
                return ack.seq

    async def post(self, stream_id: str, *texts: str) -> int:
        return await self.commit(stream_id, posted(*(comment(stream_id, text) for text in texts)))

    async def post_each(self, stream_id: str, texts: Iterable[str]) -> list[int]:
        return [await self.post(stream_id, text) for text in texts]

    async def tell(self, stream_id: str, event: Event) -> int:
        return await self.commit(stream_id, EventBatch(events=[event]))

    async def end(self, stream: Stream) -> int:
        """The end in the log; the registry follows by ``register``."""
        stream.state, stream.ended_at_ms = STREAM_STATE_ENDED, int(time.time() * 1000)
        event = Event()
        event.ended.ended_at_ms = stream.ended_at_ms
        return await self.tell(stream.stream_id, event)

    @contextlib.asynccontextmanager
    async def silence(self) -> AsyncIterator[None]:
        """What is committed meanwhile is stored, but nobody hears of it: as when live messages are lost on the way."""
        config = (await self.js.stream_info(self.shard.name)).config
        republish, config.republish = config.republish, None
        await self.js.update_stream(config)
        try:
            yield
        finally:
            assert isinstance(republish, RePublish)
            config.republish = republish
            await self.js.update_stream(config)

    def cursor(self, seq: int) -> str:
        return str(Cursor(self.shard.epoch, seq))


@contextlib.asynccontextmanager
async def open_source(settings: Settings) -> AsyncIterator[Source]:
    async with connect(settings, "source") as client:
        stored = await open_log(client.jetstream(), settings)
        await open_bucket(client, BUCKET, 1)
        yield Source(client, stored.shards[0])


def fanout_settings(settings: Settings, **changes: object) -> FanoutSettings:
    return FanoutSettings(**{**settings.model_dump(), **changes})  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def served(settings: FanoutSettings) -> AsyncIterator[str]:
    """A fanout in this process, over real gRPC; its address."""
    async with serve_drainable(settings) as (address, _):
        yield address


@contextlib.asynccontextmanager
async def serve_drainable(settings: FanoutSettings) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    authenticator = Authenticator(check_of(settings.token_key()), settings.service_token())
    async with open_service(settings) as service:
        server = grpc.aio.server(
            interceptors=[AuthInterceptor(authenticator), RefusalInterceptor()], options=SERVER_OPTIONS
        )
        service.mount(server)
        health_pb2_grpc.add_HealthServicer_to_server(_Well(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}", service.drain
        finally:
            service.drain()
            await server.stop(1)


class _Well(health_pb2_grpc.HealthServicer):
    """Says that it serves."""

    async def Check(self, _request: object, _context: object) -> health_pb2.HealthCheckResponse:  # noqa: N802
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


def service_metadata(data_dir: Path) -> tuple[tuple[str, str], ...]:
    return ((SERVICE_TOKEN_KEY, (data_dir / "secrets" / "service.token").read_text()),)


@contextlib.asynccontextmanager
async def stub(address: str) -> AsyncIterator["FeedServiceAsyncStub"]:
    async with grpc.aio.insecure_channel(address) as channel:
        yield FeedServiceStub(channel)


class Seen:
    """What one subscriber got of one stream, in order."""

    def __init__(self) -> None:
        self.snapshots: list[pb.Snapshot] = []
        self.batches: list[pb.FeedBatch] = []
        self.arrived: list[float] = []
        self.viewers: list[int] = []
        self.refused: list[str] = []
        self.degraded: list[bool] = []
        self.heartbeats = 0
        self.since_snapshot: list[pb.FeedMessage] = []

    def take(self, message: pb.WatchResponse | pb.TopicUpdate) -> None:
        match message.WhichOneof("message"):
            case "snapshot":
                self.snapshots.append(message.snapshot)
                self.since_snapshot = []
                self.viewers.append(message.snapshot.viewers)
            case "batch":
                self.batches.append(message.batch)
                self.arrived.append(time.monotonic())
                self.since_snapshot.extend(message.batch.messages)
            case "viewers":
                self.viewers.append(message.viewers.viewers)
            case "degraded":
                self.degraded.append(message.degraded)
            case "refused":
                assert isinstance(message, pb.TopicUpdate)
                self.refused.append(message.refused.reason)
            case "heartbeat":
                self.heartbeats += 1

    @property
    def messages(self) -> list[pb.FeedMessage]:
        return [message for batch in self.batches for message in batch.messages]

    @property
    def seqs(self) -> list[int]:
        return [message.seq for message in self.messages]

    @property
    def texts(self) -> list[str]:
        """Of the comments that came in windows."""
        return [
            event.posted.comment.text
            for message in self.messages
            for event in message.events.events
            if event.HasField("posted")
        ]

    @property
    def kinds(self) -> list[str | None]:
        return [event.WhichOneof("kind") for message in self.messages for event in message.events.events]

    @property
    def snapshot(self) -> pb.Snapshot:
        return self.snapshots[-1]

    @property
    def reached(self) -> int:
        """The seq up to which the subscriber knows."""
        at_snapshot = int(self.snapshot.cursor.rsplit("-", 1)[1])
        return max([at_snapshot, *(message.seq for message in self.since_snapshot)])

    @property
    def snapshot_texts(self) -> list[str]:
        return [one.text for one in self.snapshot.comments]


class Watching(Seen):
    """A Watch call."""

    error: grpc.aio.AioRpcError | None = None
    ended = False


@contextlib.asynccontextmanager
async def watch(
    address: str, stream_id: str, cursor: str = "", metadata: tuple[tuple[str, str], ...] = ()
) -> AsyncIterator[Watching]:
    """A Watch call that has its snapshot, or has ended."""
    watching = Watching()

    async def read(feed: "FeedServiceAsyncStub") -> None:
        request = pb.WatchRequest(stream_id=stream_id, cursor=cursor)
        try:
            async for response in feed.Watch(request, metadata=metadata):
                watching.take(response)
        except grpc.aio.AioRpcError as error:
            watching.error = error
        watching.ended = True

    async with stub(address) as feed, asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(feed))
        await soon(lambda: watching.snapshots or watching.ended, "the watch begins")
        try:
            yield watching
        finally:
            reading.cancel()


class Relaying:
    """A Relay call."""

    def __init__(self) -> None:
        self.topics: dict[str, Seen] = {}
        self.requests: asyncio.Queue[pb.RelayRequest] = asyncio.Queue()
        self.responses = 0
        self.bytes = 0
        self.error: grpc.aio.AioRpcError | None = None
        self.ended = False
        self.reads = asyncio.Event()
        """Cleared: a slow edge."""
        self.reads.set()

    def of(self, stream_id: str) -> Seen:
        return self.topics.setdefault(stream_id, Seen())

    async def join(self, stream_id: str, cursor: str = "") -> Seen:
        """Joins, and waits for the snapshot or the refusal."""
        seen = self.of(stream_id)
        before = len(seen.snapshots) + len(seen.refused)
        self.requests.put_nowait(pb.RelayRequest(join=pb.Join(stream_id=stream_id, cursor=cursor)))
        await soon(lambda: len(seen.snapshots) + len(seen.refused) > before, f"{stream_id} is joined")
        return seen

    def leave(self, stream_id: str) -> None:
        self.requests.put_nowait(pb.RelayRequest(leave=pb.Leave(stream_id=stream_id)))

    def report(self, stream_id: str, viewers: int) -> None:
        report = pb.ViewerReport(stream_id=stream_id, viewers=viewers)
        self.requests.put_nowait(pb.RelayRequest(viewers=report))


@contextlib.asynccontextmanager
async def relay(address: str, data_dir: Path) -> AsyncIterator[Relaying]:
    relaying = Relaying()

    async def read(call: "RelayStream") -> None:
        try:
            async for response in call:
                relaying.responses += 1
                relaying.bytes += response.ByteSize()
                for update in response.updates:
                    relaying.of(update.stream_id).take(update)
                await relaying.reads.wait()
        except grpc.aio.AioRpcError as error:
            relaying.error = error
        relaying.ended = True

    async def write(call: "RelayStream") -> None:
        # Not by an iterator of requests: grpc.aio forgets the task that waits in it when the call is refused or lost.
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                await call.write(await relaying.requests.get())

    async with stub(address) as feed, asyncio.TaskGroup() as tasks:
        call = feed.Relay(metadata=service_metadata(data_dir))
        both = [tasks.create_task(read(call)), tasks.create_task(write(call))]
        try:
            yield relaying
        finally:
            call.cancel()
            for task in both:
                task.cancel()


async def backfill(  # noqa: PLR0917
    address: str, data_dir: Path, stream_id: str, cursor: str, max_comments: int, through_seq: int = 0
) -> pb.FeedBatch:
    """All that a Backfill gives, as one batch; raises AioRpcError."""
    async with stub(address) as feed:
        request = pb.BackfillRequest(
            stream_id=stream_id, cursor=cursor, max_comments=max_comments, through_seq=through_seq
        )
        whole = pb.FeedBatch()
        async for response in feed.Backfill(request, metadata=service_metadata(data_dir)):
            whole.MergeFrom(response.batch)
        return whole


class Line:
    """TCP connections between a service and a server that can be cut, and mended.

    While it is cut, connections are refused: nats-py leaves one open that is accepted and closed again.
    """

    def __init__(self, url: str) -> None:
        self._host, self._port = url.removeprefix("nats://").split(":")
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self.url = "nats://127.0.0.1:0"

    @property
    def address(self) -> str:
        """Where it begins, ``host:port``."""
        return self.url.removeprefix("nats://")

    async def mend(self) -> None:
        """Takes connections, on the same port each time."""
        port = int(self.url.rsplit(":", 1)[1])
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", port)
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for end in self._ends:
            end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._host, int(self._port))
        self._ends |= {writer, there_writer}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, there_writer))
                tasks.create_task(_copy(there_reader, writer))
        finally:
            self._ends -= {writer, there_writer}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def open_line(url: str) -> AsyncIterator[Line]:
    line = Line(url)
    await line.mend()
    try:
        yield line
    finally:
        await line.cut()
