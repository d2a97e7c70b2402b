"""The feeds of all streams that are watched here, over one Relay stream to one fanout."""

import itertools
import math
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import grpc
import trio
from grpc_health.v1 import health_pb2_grpc

from edge import metrics
from edge.audience import Audience
from edge.backfills import Backfills
from edge.broadcast import Broadcast
from edge.events import degraded_event, viewers_event
from edge.memory import FeedMemory, Limits
from edge.upstream import Duplex, Metadata, duplex, is_well, open_channel
from livecomments.backoff import Backoff
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal
from livecomments.telemetry import log
from livecomments.v1 import feed_service_pb2 as pb
from livecomments.v1.feed_service_pb2_grpc import FeedServiceStub

JOIN_S = 3.0
"""How long a subscribe waits for a topic's first snapshot."""
LINGER_S = 10.0
"""A topic without viewers is kept for so long."""
DEGRADED_AFTER_S = 1.0
"""A feed that nothing is heard of for so long is degraded: its viewers are told."""
_TICK_S = 1.0
_STEADY_S = 5.0
_BACKOFF_MAX_S = 1.0
_DISMISS_EVERY_S = 0.1

Link = Duplex[pb.RelayRequest, pb.RelayResponse]


@dataclass(eq=False)
class Topic:
    """One stream, as this edge knows it."""

    stream_id: str
    audience: Audience
    memory: FeedMemory | None = None
    """None until the first snapshot."""
    refused: Refusal | None = None
    settled: trio.Event = field(default_factory=trio.Event)
    """The first snapshot or a refusal has come."""
    users: int = 0
    """Subscribes that are being decided."""
    idle_since: float = field(default_factory=time.monotonic)
    reported: int = 0
    """Viewers that fanout was told of."""
    held: list[pb.FeedBatch] | None = None
    """Windows that wait while a hole before them is being filled; None when there is none."""
    changed: trio.Event = field(default_factory=trio.Event)
    """Set when something comes; then there is a new one."""
    snapshots: int = 0
    """How many have come: tells an answer to an older one that it is too late."""

    def tell_change(self) -> None:
        """Wakes those who poll."""
        self.changed.set()
        self.changed = trio.Event()


class Feeds:
    """Topics by stream id. Open with ``open_feeds()``."""

    def __init__(
        self,
        fanouts: Sequence[str],
        limits: Limits,
        metadata: Metadata,
        broadcast: Broadcast,
        nursery: trio.Nursery,
    ) -> None:
        self._fanouts = fanouts
        self._limits = limits
        self._broadcast = broadcast
        self._metadata = metadata
        self._nursery = nursery
        self._topics: dict[str, Topic] = {}
        self._link: Link | None = None
        self._lost_at = math.inf
        """Since when nothing can be heard, monotonic seconds; in the far future while something can."""
        self._backfills = Backfills(nursery, metadata, limits.resume_events)
        self.connected = trio.Event()
        """Set once a fanout was reached for the first time."""

    @asynccontextmanager
    async def topic(self, stream_id: str) -> AsyncIterator[tuple[Topic, FeedMemory]]:
        """A stream's topic, with its first snapshot there, for as long as the context is open.

        Raises Refusal: STREAM_NOT_FOUND, or OVERLOADED when no fanout gives a snapshot within JOIN_S.
        """
        topic = self._topics.get(stream_id)
        if topic is None:
            topic = self._topics[stream_id] = Topic(stream_id, Audience(self._broadcast))
            metrics.topics.inc()
            self._join(topic)
        topic.users += 1
        try:
            with trio.move_on_after(JOIN_S):
                await topic.settled.wait()
            if topic.refused is not None:
                raise topic.refused
            if topic.memory is None:
                raise Refusal(Reason.OVERLOADED, "the feed is not reachable", retry_after_ms=1_000)
            yield topic, topic.memory
        finally:
            topic.users -= 1
            if topic.refused is not None and self._topics.get(stream_id) is topic:
                self._forget(topic)

    def known(self, stream_id: str) -> Topic | None:
        """A topic that has its first snapshot; None for any other."""
        topic = self._topics.get(stream_id)
        return topic if topic is not None and topic.memory is not None and topic.refused is None else None

    @property
    def is_linked(self) -> bool:
        """A fanout is there now."""
        return self._link is not None

    async def backfill(self, topic: Topic, cursor: Cursor) -> list[pb.FeedMessage]:
        """What stands in the log after a cursor, as far as the topic's memory does not reach back, in order; it may go
        on beyond where memory begins, or ends. Raises Refusal as ``Backfills.read`` does.
        """
        memory = topic.memory
        assert memory is not None
        return await self._backfills.share(topic.stream_id, cursor, floor=memory.floor, known=memory.cursor.seq)

    def backfilled(self, topic: Topic, cursor: Cursor) -> list[pb.FeedMessage] | None:
        """The same, where it was read a moment ago; None where it was not."""
        assert topic.memory is not None
        return self._backfills.kept(topic.stream_id, cursor, floor=topic.memory.floor)

    async def run(self) -> None:
        """Keeps one Relay stream to one of the fanouts; a lost one is dialled again, at another where there is one."""
        fanouts = random.sample(self._fanouts, len(self._fanouts))
        backoff = Backoff(most_s=_BACKOFF_MAX_S)
        for fanout in itertools.cycle(fanouts):
            began = time.monotonic()
            with open_channel(fanout) as channel:
                if await is_well(health_pb2_grpc.HealthStub(channel)):
                    stub = self._backfills.stub = FeedServiceStub(channel)
                    async with duplex(stub.Relay, metadata=self._metadata, merge=_as_they_are) as link:
                        self.connected.set()
                        log().info("fanout reached", fanout=fanout)
                        await self._follow(link)
                    self._link = None
                    self._lost_at = min(self._lost_at, time.monotonic())
                    metrics.relay_breaks.inc()
                    log().warning("fanout lost", fanout=fanout, error=_describe(link.ended_by))
            if time.monotonic() - began > _STEADY_S:
                backoff.reset()
            await trio.sleep(backoff.next_s())

    async def report(self) -> None:
        """Tells fanout how many watch, and drops topics that nobody uses any more."""
        while True:
            await trio.sleep(_TICK_S * random.uniform(0.9, 1.1))
            now = time.monotonic()
            is_cut_off = now - self._lost_at > DEGRADED_AFTER_S
            for topic in list(self._topics.values()):
                if is_cut_off:
                    _degrade(topic, True)
                viewers = len(topic.audience)
                if viewers != topic.reported and self._link is not None:
                    topic.reported = viewers
                    report = pb.ViewerReport(stream_id=topic.stream_id, viewers=viewers)
                    self._link.send(pb.RelayRequest(viewers=report))
                if topic.users or viewers:
                    topic.idle_since = now
                elif now - topic.idle_since > LINGER_S:
                    self._forget(topic)

    async def dismiss_over(self, seconds: float) -> None:
        """Ends every viewer's feed, a part at a time, so that they do not all come back at once."""
        steps = max(1, round(seconds / _DISMISS_EVERY_S))
        for left in range(steps, 0, -1):
            for topic in self._topics.values():
                topic.audience.dismiss(random.randint(200, 2_000), share=left)
            if left == 1 or not any(len(topic.audience) for topic in self._topics.values()):
                return
            await trio.sleep(_DISMISS_EVERY_S)

    async def _follow(self, link: Link) -> None:
        self._link = link
        for topic in self._topics.values():
            self._join(topic)
        async for response in link:
            self._lost_at = math.inf
            for update in response.updates:
                if (watched := self._topics.get(update.stream_id)) is not None:
                    self._update(watched, update)

    def _join(self, topic: Topic) -> None:
        if self._link is None:
            return
        cursor = str(topic.memory.cursor) if topic.memory else ""
        topic.reported = 0
        self._link.send(pb.RelayRequest(join=pb.Join(stream_id=topic.stream_id, cursor=cursor)))

    def _forget(self, topic: Topic) -> None:
        del self._topics[topic.stream_id]
        metrics.topics.dec()
        if self._link is not None:
            self._link.send(pb.RelayRequest(leave=pb.Leave(stream_id=topic.stream_id)))

    def _update(self, topic: Topic, update: pb.TopicUpdate) -> None:
        match update.WhichOneof("message"):
            case "snapshot":
                self._take_snapshot(topic, update.snapshot)
            case "batch" if topic.held is not None:
                topic.held.append(update.batch)
            case "batch":
                self._take_batch(topic, update.batch)
            case "viewers" if topic.memory is not None and topic.memory.count(update.viewers.viewers):
                topic.audience.tell(viewers_event(update.viewers.viewers))
            case "degraded":
                _degrade(topic, update.degraded)
            case "refused":
                topic.refused = Refusal(Reason(update.refused.reason))
                topic.settled.set()
                topic.audience.refuse(topic.refused)

    def _take_snapshot(self, topic: Topic, snapshot: pb.Snapshot) -> None:
        topic.snapshots += 1
        topic.held = None
        if topic.memory is None:
            topic.memory = FeedMemory(snapshot, self._limits)
            topic.settled.set()
        elif not snapshot.recovered:
            # This fanout's memory does not reach back to ours; the log may.
            topic.held = []
            self._nursery.start_soon(self._fill_hole, topic, topic.memory, snapshot)
        _degrade(topic, snapshot.degraded)

    async def _fill_hole(self, topic: Topic, memory: FeedMemory, snapshot: pb.Snapshot) -> None:
        there, turn = Cursor.parse(snapshot.cursor), topic.snapshots
        try:
            if there.epoch != memory.cursor.epoch:
                raise Refusal(Reason.BAD_CURSOR, "the log has begun anew")
            # Not one that others have begun: it might end before this snapshot.
            messages = await self._backfills.read(topic.stream_id, memory.cursor, there.seq)
            if topic.snapshots != turn:
                return  # the relay was lost once more: whoever answers that snapshot fills the hole
            self._take_batch(topic, pb.FeedBatch(messages=messages))
        except Refusal as refusal:
            if topic.snapshots != turn:
                return
            log().warning("the feed has a hole", stream=topic.stream_id, why=str(refusal))
            topic.memory = FeedMemory(snapshot, self._limits)
            if topic.memory.is_private and not memory.is_private:
                topic.audience.send_back()
            else:
                topic.audience.tell(topic.memory.state())
            topic.tell_change()
            if topic.memory.has_ended:
                topic.audience.end()
        held, topic.held = topic.held or [], None
        for batch in held:
            self._take_batch(topic, batch)

    def _take_batch(self, topic: Topic, batch: pb.FeedBatch) -> None:
        memory = topic.memory
        if memory is None:
            return
        was_private = memory.is_private
        window = memory.add(batch, time.monotonic())
        if window is None:
            return
        if memory.is_private and not was_private:
            # Not even this window: nobody knows any more who of the seated may have it.
            topic.audience.send_back()
        else:
            topic.audience.show(window)
        topic.tell_change()
        _observe_lag(batch)
        if memory.has_ended:
            topic.audience.end()


def _as_they_are(requests: list[pb.RelayRequest]) -> list[pb.RelayRequest]:
    return requests


def _degrade(topic: Topic, degraded: bool) -> None:
    if topic.memory is not None and topic.memory.degrade(degraded):
        topic.audience.tell(degraded_event(degraded))


def _observe_lag(batch: pb.FeedBatch) -> None:
    now_ms = time.time() * 1000
    for message in batch.messages:
        if message.events.events[0].WhichOneof("kind") == "posted":
            posted_at_ms = message.events.events[0].posted.comment.posted_at_ms
            metrics.feed_lag_seconds.observe(max(0.0, now_ms - posted_at_ms) / 1000)


def _describe(error: grpc.RpcError | None) -> str:
    return "" if error is None else str(cast("grpc.Call", error).details())


@asynccontextmanager
async def open_feeds(
    fanouts: Sequence[str], limits: Limits, metadata: Metadata, broadcast: Broadcast
) -> AsyncIterator[Feeds]:
    """Feeds for as long as the context is open."""
    async with trio.open_nursery() as nursery:
        feeds = Feeds(fanouts, limits, metadata, broadcast, nursery)
        nursery.start_soon(broadcast.run)
        nursery.start_soon(feeds.run)
        nursery.start_soon(feeds.report)
        nursery.start_soon(metrics.count_tasks)
        yield feeds
        nursery.cancel_scope.cancel()
