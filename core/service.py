"""Core as a whole: its two services and what they stand on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import grpc
from nats.aio.client import Client
from nats.aio.msg import Msg

from core.backlog import Backlog
from core.bans import open_bans
from core.comment_service import CommentService
from core.commit import BatchLimits, Committer
from core.committers import Committers, open_committers
from core.endings import Endings
from core.fence import Fence
from core.history import open_history
from core.intake import Intake
from core.limits import UserRate
from core.repair import repair_registry
from core.repeats import Repeats
from core.rules import CommentRules
from core.settings import CoreSettings
from core.stream_log import StreamLog
from core.stream_service import StreamService
from core.streams import open_store
from core.summaries import open_summaries
from livecomments.log import connect, open_log
from livecomments.presence import FANOUT_HEADER, Tally, viewers_subject
from livecomments.registry import open_directory
from livecomments.v1.comment_pb2 import Stream
from livecomments.v1.comment_service_pb2_grpc import add_CommentServiceServicer_to_server
from livecomments.v1.feed_service_pb2 import ViewerReport
from livecomments.v1.stream_service_pb2_grpc import add_StreamServiceServicer_to_server


class Core:
    """What is mounted on the gRPC server."""

    names: Sequence[str] = ("livecomments.v1.CommentService", "livecomments.v1.StreamService")

    def __init__(self, comments: CommentService, streams: StreamService, committers: Committers) -> None:
        self._comments = comments
        self._streams = streams
        self._committers = committers

    def mount(self, server: grpc.aio.Server) -> None:
        """Adds both services."""
        add_CommentServiceServicer_to_server(self._comments, server)
        add_StreamServiceServicer_to_server(self._streams, server)

    def drain(self) -> None:
        """Refuses what is new with DRAINING; what waits is committed."""
        self._committers.drain()
        self._comments.drain()
        self._streams.drain()


@asynccontextmanager
async def open_service(settings: CoreSettings) -> AsyncIterator[Core]:
    """Core, connected and at work for as long as the context is open; leaving it commits what waits."""
    catch_up: list[Callable[[], None]] = []

    async def reconnected() -> None:
        for look in catch_up:
            look()

    async with (
        connect(settings, "core", reconnected) as client,
        open_directory(client, settings) as directory,
        open_bans(client, settings.log_replicas) as bans,
        open_history(settings.storage_urls, settings.service_token()) as history,
        open_tally(client) as tally,
        open_summaries(client, settings.log_replicas) as summaries,
    ):
        catch_up += [directory.catch_up, bans.catch_up]
        shards = await open_log(client.jetstream(), settings, grow_to_bytes=settings.log_bytes)
        store = await open_store(client, settings.log_replicas, directory.registry)

        def open_stream_log(stream_id: str) -> StreamLog:
            return StreamLog(client, shards.shard_of(stream_id), stream_id)

        def make(stream: Stream, revision: int, backlog: Backlog, repeats: Repeats) -> Committer:
            rate = UserRate(settings.core_user_rate, settings.core_user_burst)
            limits = BatchLimits(settings.core_batch_max_comments, settings.core_batch_max_bytes)
            stream_log = open_stream_log(stream.stream_id)
            left = summaries.of(stream_log.shard, stream.stream_id)
            fence = Fence(stream, revision, stream_log, store, summaries=left, rate=rate)
            return Committer(fence, bans.list, limits, backlog, repeats)

        async with open_committers(directory, make) as committers, asyncio.TaskGroup() as tasks:
            endings = Endings(directory.registry, committers)
            rules = CommentRules(settings.core_text_max, settings.core_meta_max)
            beside = [
                tasks.create_task(endings.run()),
                tasks.create_task(repair_registry(directory.registry, committers, open_stream_log)),
            ]
            try:
                yield Core(
                    CommentService(
                        directory=directory,
                        committers=committers,
                        intake=Intake(committers, rules),
                        bans=bans,
                        history=history,
                        open_log=open_stream_log,
                    ),
                    StreamService(directory, store, committers, endings, tally=tally, tokens=settings.page_tokens()),
                    committers,
                )
            finally:
                for task in beside:
                    task.cancel()


@asynccontextmanager
async def open_tally(client: Client) -> AsyncIterator[Tally]:
    """How many watch each stream, as the fanouts tell it, for as long as the context is open."""
    tally = Tally(time.monotonic)

    async def heard(message: Msg) -> None:
        report = ViewerReport.FromString(message.data)
        tally.report(report.stream_id, (message.headers or {}).get(FANOUT_HEADER, ""), report.viewers)

    subscription = await client.subscribe(viewers_subject("*"), cb=heard)
    try:
        yield tally
    finally:
        if not client.is_closed:
            await subscription.unsubscribe()
