"""One edge process: its joins, leaves and viewer counts up, all its topics' windows down, over one call."""

import asyncio
from collections.abc import AsyncIterator

from fanout import metrics, wire
from fanout.calls import LongCall, Write
from fanout.feed import Feed
from fanout.messages import Window, in_pieces
from fanout.outbox import Outbox
from fanout.ranges import Limit
from fanout.resume import Start, read_cursor
from fanout.topic import Topic
from livecomments.errors import Refusal
from livecomments.v1 import feed_service_pb2 as pb
from livecomments.v1.comment_pb2 import Stream

COMMENTS = 200
"""In a snapshot."""
MESSAGE_BYTES = 1024**2
"""One message carries about so much at most, so that an edge has something to show while the next is on its way."""
_RESUME_EVENTS = 50_000
_REFUSALS = 1_000


class RelayCall(LongCall):
    """A Relay call. Its topics and its viewers are gone when it ends, however it ends."""

    def __init__(self, feed: Feed, requests: AsyncIterator[pb.RelayRequest], write: Write) -> None:
        super().__init__(write)
        self._feed = feed
        self._requests = requests
        queue_bytes = feed.settings.fanout_relay_queue_bytes
        # Half of the queue, so that a resume is not what makes it overflow.
        self._limit = Limit(_RESUME_EVENTS, queue_bytes // 2)
        self._outbox = Outbox(queue_bytes)
        self._ready = asyncio.Event()
        self._taken = asyncio.Event()
        self._joins: dict[str, asyncio.Task[None]] = {}
        self._seats: dict[str, _Seat] = {}

    async def _work(self) -> None:
        metrics.relays.inc()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send())
                await self._read(tasks)
                self.end()
        finally:
            metrics.relays.dec()
            for stream_id in list(self._joins):
                self._leave(stream_id)

    async def _send(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while message := self._outbox.take(MESSAGE_BYTES, self._replace):
                self._taken.set()
                await self._give(message)

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        async for request in self._requests:
            match request.WhichOneof("message"):
                case "join":
                    await self._outbox_has_room()
                    earlier = self._joins.get(request.join.stream_id)
                    self._joins[request.join.stream_id] = tasks.create_task(self._join(request.join, earlier))
                case "leave":
                    self._leave(request.leave.stream_id)
                case "viewers" if request.viewers.stream_id in self._joins:
                    self._feed.viewers.report(self, request.viewers.stream_id, request.viewers.viewers)
                case _:
                    pass

    async def _outbox_has_room(self) -> None:
        while self._outbox.refusals >= _REFUSALS:
            self._taken.clear()
            await self._taken.wait()

    async def _join(self, join: pb.Join, earlier: asyncio.Task[None] | None) -> None:
        """Serves a topic until cancelled. ``earlier`` served it before, and must be gone first."""
        if earlier is not None:
            earlier.cancel()
            await asyncio.wait([earlier])
        try:
            cursor = read_cursor(join.cursor)
            async with self._feed.topics.lease(join.stream_id) as topic:
                start = await self._feed.resumer.start(topic, cursor, self._limit, COMMENTS)
                await self._sit(topic, start)
        except Refusal as refusal:
            # Another join of the same topic may have come meanwhile: then that one counts.
            if self._joins.get(join.stream_id) is asyncio.current_task():
                del self._joins[join.stream_id]
                self._feed.viewers.report(self, join.stream_id, 0)
                self._outbox.refuse(join.stream_id, refusal.reason)
                self._ready.set()

    async def _sit(self, topic: Topic, start: Start) -> None:
        stream_id = topic.stream_id
        seat = self._seats[stream_id] = _Seat(self, topic)
        missed = (window.relay for window in in_pieces(stream_id, start.missed, MESSAGE_BYTES))
        self._outbox.begin(stream_id, [_snapshot(stream_id, start.snapshot), *missed])
        self._ready.set()
        topic.add(seat, start.after)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            topic.remove(seat)
            # A snapshot that is due could not be made any more.
            self._outbox.forget(stream_id)
            del self._seats[stream_id]

    def _leave(self, stream_id: str) -> None:
        if (joined := self._joins.pop(stream_id, None)) is not None:
            joined.cancel()
            self._feed.viewers.report(self, stream_id, 0)
        self._outbox.forget(stream_id)

    # -- what its seats hear --

    def put(self, window: Window) -> None:
        self._outbox.put(window.stream_id, window.relay)
        self._ready.set()

    def count(self, stream_id: str, viewers: int) -> None:
        self._outbox.count(stream_id, viewers)
        self._ready.set()

    def degrade(self, stream_id: str, degraded: bool) -> None:
        self._outbox.degrade(stream_id, degraded)
        self._ready.set()

    def renew(self, stream_id: str) -> None:
        self._outbox.renew(stream_id)
        self._ready.set()

    def _replace(self, stream_id: str) -> bytes:
        """A snapshot in place of windows that were dropped; the topic goes on from there."""
        seat = self._seats[stream_id]
        metrics.snapshots_total.labels("overflow").inc()
        seat.topic.add(seat, seat.topic.memory.head)
        return _snapshot(stream_id, seat.topic.snapshot(COMMENTS))


class _Seat:
    """A place in one topic, taken by a call."""

    def __init__(self, call: RelayCall, topic: Topic) -> None:
        self._call = call
        self.topic = topic

    def window(self, window: Window) -> None:
        self._call.put(window)

    def updated(self, stream: Stream) -> None:
        """Edges decide by themselves who of their viewers may go on."""

    def viewers(self, viewers: int) -> None:
        self._call.count(self.topic.stream_id, viewers)

    def degraded(self, degraded: bool) -> None:
        self._call.degrade(self.topic.stream_id, degraded)

    def restarted(self) -> None:
        self._call.renew(self.topic.stream_id)

    def closed(self, refusal: Refusal) -> None:
        self._call.end(refusal)


def _snapshot(stream_id: str, snapshot: pb.Snapshot) -> bytes:
    return wire.relay_update(pb.TopicUpdate(stream_id=stream_id, snapshot=snapshot))
