"""The cores, and which of them owns a stream: rendezvous hashing over those that answer their health check."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b

import grpc
import trio
from grpc_health.v1 import health_pb2_grpc

from edge.posting import Link, Posts, merge_posts
from edge.upstream import Metadata, duplex, is_well, open_channel, while_well
from livecomments.errors import Reason, Refusal
from livecomments.telemetry import log
from livecomments.v1.comment_service_pb2_grpc import CommentServiceStub
from livecomments.v1.stream_service_pb2_grpc import StreamServiceStub


@dataclass(eq=False)
class Core:
    """One core: its channel, its stubs, and the posts that go to it."""

    address: str
    channel: grpc.Channel
    posts: Posts

    def __post_init__(self) -> None:
        self.comments = CommentServiceStub(self.channel)
        self.streams = StreamServiceStub(self.channel)
        self.is_well = False


class Cores:
    """All cores. Open with ``open_cores()``."""

    def __init__(self, cores: Sequence[Core]) -> None:
        self.all = cores
        self.connected = trio.Event()
        """Set once a core was reached for the first time."""

    def owner(self, stream_id: str) -> Core:
        """The core that a stream's posts go to; raises Refusal(OVERLOADED) when none is well."""
        well = [core for core in self.all if core.is_well]
        if not well:
            raise Refusal(Reason.OVERLOADED, "no core answers", retry_after_ms=1_000)
        return max(well, key=lambda core: _weight(core.address, stream_id))

    async def run(self, core: Core, metadata: Metadata) -> None:
        """Keeps the stream of posts to one core open, for as long as the core is well."""
        health = health_pb2_grpc.HealthStub(core.channel)
        while True:
            if await is_well(health):
                async with (
                    _ingest(core, metadata) as stream,
                    trio.open_nursery() as both,
                ):
                    core.is_well = True
                    self.connected.set()
                    log().info("core reached", core=core.address)
                    both.start_soon(self._leave_when_ill, core, health, both.cancel_scope)
                    await core.posts.follow(stream)
                    both.cancel_scope.cancel()
                core.is_well = False
                log().warning("core lost", core=core.address)
                self._move(core)
            await trio.sleep(random.uniform(0.05, 0.15))

    async def _leave_when_ill(self, core: Core, health: health_pb2_grpc.HealthStub, link: trio.CancelScope) -> None:
        await while_well(health)
        # At once: to end the call of one that is frozen takes a while.
        core.is_well = False
        self._move(core)
        link.cancel()

    def _move(self, lost: Core) -> None:
        """Hands the posts that have no answer yet to their streams' next owners; repeating them is safe."""
        if any(core.is_well for core in self.all):
            for post in lost.posts.take_unanswered():
                self.owner(post.stream_id).posts.adopt(post)


def _ingest(core: Core, metadata: Metadata) -> AbstractAsyncContextManager[Link]:
    return duplex(core.comments.IngestComments, metadata=metadata, merge=merge_posts)


def _weight(address: str, stream_id: str) -> bytes:
    return blake2b(f"{address} {stream_id}".encode(), digest_size=8).digest()


@asynccontextmanager
async def open_cores(addresses: Sequence[str], metadata: Metadata, waiting: int, wait_s: float) -> AsyncIterator[Cores]:
    """Links to all cores for as long as the context is open."""
    channels = [open_channel(address) for address in addresses]
    cores = Cores(
        [Core(address, channel, Posts(waiting, wait_s)) for address, channel in zip(addresses, channels, strict=True)]
    )
    try:
        async with trio.open_nursery() as nursery:
            for core in cores.all:
                nursery.start_soon(cores.run, core, metadata)
                nursery.start_soon(core.posts.expire)
            yield cores
            nursery.cancel_scope.cancel()
    finally:
        for channel in channels:
            channel.close()
