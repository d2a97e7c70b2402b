"""FeedService over gRPC, and the process around it."""

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import SlowConsumerError

from fanout import metrics, wire
from fanout.background import background
from fanout.calls import LongCall, OpenCalls
from fanout.feed import Feed
from fanout.history import open_history
from fanout.messages import in_pieces
from fanout.presence import Presence
from fanout.ranges import Limit, Range, Ranges
from fanout.reader import open_reader
from fanout.relay import RelayCall
from fanout.resume import Resumer, read_cursor
from fanout.settings import FanoutSettings
from fanout.topic import Sources, Topic
from fanout.topics import Topics
from fanout.watch import WatchCall, check_may_watch
from livecomments.errors import Reason, Refusal, invalid
from livecomments.identity import caller
from livecomments.log import Shard, connect, find_log, open_log
from livecomments.registry import StreamDirectory, open_directory
from livecomments.stream_ids import check_stream_id
from livecomments.telemetry import log
from livecomments.v1 import feed_service_pb2 as pb
from livecomments.v1.comment_pb2 import Stream

NAME = pb.DESCRIPTOR.services_by_name["FeedService"].full_name
BACKFILL_BYTES = 8 * 1024**2
"""A range that takes more is refused, whatever max_comments allows."""
_CHUNK_BYTES = 256 * 1024
LOOK_EVERY_S = 5.0
"""How often fanout looks whether the log is still the one that it knows: a restored one begins a new life, in which the
same sequences stand for other messages.
"""

Context = grpc.aio.ServicerContext[Any, bytes]


class FeedService:
    """The methods. Responses are bytes: what many callers get is serialized once."""

    def __init__(self, feed: Feed, directory: StreamDirectory) -> None:
        self._feed = feed
        self._directory = directory

    @property
    def names(self) -> Sequence[str]:
        return (NAME,)

    def mount(self, server: grpc.aio.Server) -> None:
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Watch": grpc.unary_stream_rpc_method_handler(self.Watch, pb.WatchRequest.FromString),
            "Relay": grpc.stream_stream_rpc_method_handler(self.Relay, pb.RelayRequest.FromString),
            "Backfill": grpc.unary_stream_rpc_method_handler(self.Backfill, pb.BackfillRequest.FromString),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))

    def drain(self) -> None:
        # Jittered, so that not all of them knock at one other fanout in the same moment.
        retry_after_ms = random.randint(100, 1_000)
        self._feed.calls.end_all(Refusal(Reason.DRAINING, "this fanout is going away", retry_after_ms=retry_after_ms))

    async def Watch(self, request: pb.WatchRequest, context: Context) -> None:
        self._feed.calls.check()
        check_stream_id(request.stream_id)
        identity = caller()
        check_may_watch(identity, await self._directory.find(request.stream_id))
        await self._run(WatchCall(self._feed, identity, request, context.write))

    async def Relay(self, requests: AsyncIterator[pb.RelayRequest], context: Context) -> None:
        self._feed.calls.check()
        await self._run(RelayCall(self._feed, requests, context.write))

    async def _run(self, call: LongCall) -> None:
        with self._feed.calls.enter(call):
            await call.run()

    async def Backfill(self, request: pb.BackfillRequest, _context: Context) -> AsyncGenerator[bytes, None]:
        """Raises Refusal before anything is sent, or not at all: INVALID_FIELD, STREAM_NOT_FOUND; BODY_TOO_LARGE
        above ``max_comments`` events; BAD_CURSOR for one that is malformed, of another life of the log, that the log
        does not reach back to any more, or has never come to.
        """
        self._feed.calls.check()
        check_stream_id(request.stream_id)
        if request.max_comments < 1:
            raise invalid("max_comments", "must be at least 1")
        await self._directory.find(request.stream_id)
        cursor = read_cursor(request.cursor)
        shard = self._feed.topics.log.shard_of(request.stream_id)
        try:
            if cursor is None or cursor.epoch != shard.epoch:
                raise Refusal(Reason.BAD_CURSOR, "cursor: is not one of this log")
            through = await self._feed.ranges.last_seq(shard, request.stream_id)
            if cursor.seq > through and not await self._feed.resumer.has_come_to(shard, cursor.seq):
                raise Refusal(Reason.BAD_CURSOR, "cursor: the log has not come to it")
            limit = Limit(request.max_comments, BACKFILL_BYTES)
            entries = await self._feed.ranges.read(Range(shard, request.stream_id, cursor.seq, through, limit))
        except Refusal as refusal:
            metrics.backfills_total.labels(refusal.reason.lower()).inc()
            raise
        metrics.backfills_total.labels("served").inc()
        for window in in_pieces(request.stream_id, entries, _CHUNK_BYTES):
            yield wire.backfill_batch(window.batch)


@asynccontextmanager
async def open_service(settings: FanoutSettings) -> AsyncIterator[FeedService]:
    """A fanout that is ready to be served, for as long as the context is open."""
    reconnected = asyncio.Event()

    async def on_reconnect() -> None:
        # nats-py is not connected until this returns: nothing may be asked for here.
        reconnected.set()

    def on_error(error: Exception) -> None:
        # The next message shows the gap; after the last one, the next probe.
        if isinstance(error, SlowConsumerError) and error.subject.startswith("live."):
            metrics.dropped_total.inc()

    async with (
        connect(settings, "fanout", on_reconnect, on_error) as client,
        open_directory(client, settings) as directory,
        open_reader(client) as reader,
        open_history(settings, reader) as history,
        background() as tasks,
    ):
        sources = Sources(client, reader, history, directory)

        def make_topic(shard: Shard, registered: Stream) -> Topic:
            return Topic(settings, sources, shard, registered)

        stored = await open_log(client.jetstream(), settings)
        presence = Presence(client, secrets.token_hex(8))
        topics = Topics(
            make_topic,
            directory,
            stored,
            presence=presence,
            linger_s=settings.fanout_linger_s,
            tasks=tasks,
        )
        ranges = Ranges(reader, tasks)
        tasks.create_task(presence.run())
        tasks.create_task(_look_after_the_log(reconnected, client, settings, directory, topics))
        yield FeedService(Feed(settings, topics, Resumer(ranges, reader), ranges, presence, OpenCalls()), directory)


async def _look_after_the_log(
    reconnected: asyncio.Event, client: Client, settings: FanoutSettings, directory: StreamDirectory, topics: Topics
) -> None:
    """Whatever was said while the connection was lost must be asked for; and the log may be restored at any time."""
    while True:
        try:
            async with asyncio.timeout(LOOK_EVERY_S * random.uniform(0.8, 1.0)):
                await reconnected.wait()
        except TimeoutError:
            pass
        else:
            reconnected.clear()
            directory.catch_up()
            topics.ask_all()
        try:
            # Not one that is missing: whoever restores it makes it.
            found = await find_log(client.jetstream(), settings)
        except (NatsError, TimeoutError) as error:
            log().warning("the log could not be looked at", error=repr(error))
            continue
        if found is None:
            log().warning("the log is missing")
        elif found != topics.log:
            log().warning("the log began a new life")
            topics.begin_anew(found)
