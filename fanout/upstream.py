"""The Relay stream from another fanout: all topics of this one, over one call to one of several addresses."""

import asyncio
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fanout import metrics
from fanout.background import background
from fanout.presence import LocalViewers
from livecomments.backoff import Backoff
from livecomments.calls import Metadata
from livecomments.errors import Refusal
from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.telemetry import log
from livecomments.v1 import feed_service_pb2 as pb
from livecomments.v1.feed_service_pb2_grpc import FeedServiceStub

if TYPE_CHECKING:  # known to the stubs alone
    from livecomments.v1.feed_service_pb2_grpc import FeedServiceAsyncStub

    RelayStream = grpc.aio.StreamStreamCall[pb.RelayRequest, pb.RelayResponse]

DEGRADED_AFTER_S = 1.0
"""A feed that is cut off for so long is degraded: those behind it are told."""
VIEWERS_EVERY_S = 1.0
_HEALTH_S = 0.5
_STEADY_S = 5.0
_BACKOFF_MAX_S = 1.0
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # A frozen fanout keeps its connections: only unanswered pings tell, within 0.9 s, as between edge and fanout.
    ("grpc.keepalive_time_ms", 250),
    ("grpc.keepalive_timeout_ms", 650),
    # Without it grpc 1.85 waits a minute for the answer.
    ("grpc.http2.ping_timeout_ms", 650),
    ("grpc.http2.max_pings_without_data", 0),
    # A second try at one address must not wait for the first one's backoff.
    ("grpc.use_local_subchannel_pool", 1),
)


class Relayed(Protocol):
    """A topic that comes from upstream. Called in the loop; must not block or raise."""

    @property
    def stream_id(self) -> str: ...

    @property
    def cursor(self) -> str:
        """Where it goes on; empty before its first snapshot."""

    def take(self, update: pb.TopicUpdate) -> None:
        """The next update: after each join a snapshot or a refusal first."""


class Upstream:
    """Keeps one Relay stream while ``run`` runs. A lost one is dialled again, at another address where there is one."""

    def __init__(self, addresses: Sequence[str], service_token: str, viewers: LocalViewers) -> None:
        self._addresses = addresses
        self._viewers = viewers
        self._topics: dict[str, Relayed] = {}
        self._told: dict[str, int] = {}
        self._requests: dict[tuple[str, str], pb.RelayRequest] = {}
        """The latest of each kind for each topic, so that no more than that can wait."""
        self._requested = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._lost_at = self._clock()
        self.metadata: Metadata = ((SERVICE_TOKEN_KEY, service_token),)
        self.stub: FeedServiceAsyncStub | None = None
        """The fanout that is followed; None while there is none."""
        self.reached = asyncio.Event()
        """Set once there was one."""

    @contextmanager
    def serve(self, topic: Relayed) -> Iterator[None]:
        """Gives the topic its updates for as long as the context is open."""
        self._topics[topic.stream_id] = topic
        self.join(topic)
        try:
            yield
        finally:
            if self._topics.get(topic.stream_id) is topic:
                del self._topics[topic.stream_id]
                self._told.pop(topic.stream_id, None)
                leave = pb.RelayRequest(leave=pb.Leave(stream_id=topic.stream_id))
                self._requests.pop(("viewers", topic.stream_id), None)
                self._request("topic", topic.stream_id, leave)

    def join(self, topic: Relayed) -> None:
        """Asks for a topic, from where it is; again, when it is to begin again. While nothing is connected it is asked
        for as soon as something is.
        """
        self._told.pop(topic.stream_id, None)
        join = pb.Join(stream_id=topic.stream_id, cursor=topic.cursor)
        self._request("topic", topic.stream_id, pb.RelayRequest(join=join))

    def is_cut_off(self) -> bool:
        """Nothing could be heard for DEGRADED_AFTER_S."""
        return self._clock() - self._lost_at > DEGRADED_AFTER_S

    async def run(self) -> None:
        """Until cancelled."""
        backoff = Backoff(most_s=_BACKOFF_MAX_S)
        for address in itertools.cycle(random.sample(self._addresses, len(self._addresses))):
            began = self._clock()
            async with grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS) as channel:
                if await _is_well(channel):
                    await self._follow(channel, address)
            if self._clock() - began > _STEADY_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def report(self) -> None:
        """Tells upstream how many watch here, until cancelled."""
        while True:
            await asyncio.sleep(VIEWERS_EVERY_S * random.uniform(0.9, 1.1))
            for stream_id in self._topics:
                viewers = self._viewers.viewers(stream_id)
                if viewers != self._told.get(stream_id, 0):
                    self._told[stream_id] = viewers
                    report = pb.ViewerReport(stream_id=stream_id, viewers=viewers)
                    self._request("viewers", stream_id, pb.RelayRequest(viewers=report))

    async def _follow(self, channel: grpc.aio.Channel, address: str) -> None:
        """Returns when the stream is lost."""
        self.stub = FeedServiceStub(channel)
        call = self.stub.Relay(metadata=self.metadata)
        self._requests.clear()
        for topic in self._topics.values():
            self.join(topic)
        log().info("upstream reached", upstream=address)
        self.reached.set()
        self._lost_at = math.inf
        try:
            async with background() as tasks:
                tasks.create_task(self._write(call))
                async for response in call:
                    for update in response.updates:
                        if (served := self._topics.get(update.stream_id)) is not None:
                            served.take(update)
        except* grpc.aio.AioRpcError as group:
            why = Refusal.from_rpc_error(_first(group))
            log().warning("upstream lost", upstream=address, error=str(why))
        finally:
            call.cancel()
            self.stub = None
            self._lost_at = self._clock()
            metrics.upstream_breaks_total.inc()

    async def _write(self, call: "RelayStream") -> None:
        while True:
            await self._requested.wait()
            self._requested.clear()
            while self._requests:
                request = self._requests.pop(next(iter(self._requests)))
                try:
                    await call.write(request)
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    return  # reading says why

    def _request(self, kind: str, stream_id: str, request: pb.RelayRequest) -> None:
        self._requests[kind, stream_id] = request
        self._requested.set()


async def _is_well(channel: grpc.aio.Channel) -> bool:
    """Whether a fanout says within _HEALTH_S that it serves: a draining one answers, too, and a frozen one does not."""
    health = health_pb2_grpc.HealthStub(channel)
    try:
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH_S)  # type: ignore[attr-defined]
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _first(group: BaseExceptionGroup[grpc.aio.AioRpcError]) -> grpc.aio.AioRpcError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
