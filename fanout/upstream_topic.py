"""One stream as another fanout relays it: its windows pass through at once, unchanged."""

import asyncio
from collections.abc import Iterable, Sequence

from fanout import metrics
from fanout.memory import Beginning, FeedMemory
from fanout.messages import Entry, LogMessage
from fanout.ranges import Limit, Range, Ranges
from fanout.ring import placed
from fanout.settings import FanoutSettings
from fanout.topic import Topic
from fanout.upstream import Upstream
from livecomments.backoff import Backoff
from livecomments.calls import is_passing
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal
from livecomments.telemetry import log
from livecomments.v1 import feed_service_pb2 as pb
from livecomments.v1.comment_pb2 import Stream

_HOLD_BYTES = 8 * 1024**2
"""Windows that wait while what stands before them is fetched; beyond it the topic joins once more instead."""
_HOLE = Limit(50_000, 8 * 1024**2)


class UpstreamTopic(Topic):
    """A topic that follows another fanout's.

    It joins with the cursor of its head. Upstream goes on from there; or, where its own memory does not reach back so
    far, with a snapshot: then what stands between is fetched by Backfill, while the windows that follow are held. What
    can't be had that way is left out, and the subscribers get a snapshot, too.
    """

    def __init__(self, settings: FanoutSettings, upstream: Upstream, ranges: Ranges, stream_id: str) -> None:
        super().__init__(stream_id)
        self._settings = settings
        self._upstream = upstream
        self._ranges = ranges
        self._relayed = Stream()
        self._backoff = Backoff()
        self._wake = asyncio.Event()
        self._awaits_snapshot = True
        self._rejoins = False
        self._hole: pb.Snapshot | None = None
        self._held: list[pb.FeedBatch] = []
        self._held_bytes = 0

    @property
    def cursor(self) -> str:
        has_begun = self.opened.is_set() and self.refusal is None
        return str(Cursor(self.epoch, self.memory.head)) if has_begun else ""

    def ask(self) -> None:
        """Nothing is missed between two fanouts but with the call, which then begins again."""

    def _known(self) -> Stream:
        return self._relayed

    async def run(self) -> None:
        with self._upstream.serve(self):
            while self.refusal is None:
                await self._wake.wait()
                self._wake.clear()
                if self._rejoins:
                    self._rejoins = False
                    await asyncio.sleep(self._backoff.next_s())
                    self._upstream.join(self)
                if self._hole is not None:
                    await self._fill(self._hole)

    # -- what upstream says --

    def take(self, update: pb.TopicUpdate) -> None:
        match update.WhichOneof("message"):
            case "snapshot":
                self._take_snapshot(update.snapshot)
            case "batch" if self._hole is not None:
                self._hold(update.batch)
            case "batch" if not self._awaits_snapshot:
                self._pass_on(map(LogMessage.relayed, update.batch.messages))
            case "viewers":
                self.count(update.viewers.viewers)
            case "degraded":
                self.degrade(update.degraded)
            case "refused":
                self._take_refusal(Refusal(Reason(update.refused.reason), retry_after_ms=500))
            case _:
                pass

    def _take_snapshot(self, snapshot: pb.Snapshot) -> None:
        there = Cursor.parse(snapshot.cursor)
        self._awaits_snapshot = False
        self._hole = None
        self._held, self._held_bytes = [], 0
        if not self.opened.is_set():
            self._begin(snapshot)
            self.opened.set()
        elif there.epoch != self.epoch:
            log().warning("the log began a new life", stream=self.stream_id)
            self._over(Refusal(Reason.OVERLOADED, "the feed was interrupted", retry_after_ms=500))
            return
        elif snapshot.recovered or there.seq <= self.memory.head:
            self._relayed = snapshot.stream
            self._backoff.reset()
        else:
            self._hole = snapshot
            self._wake.set()
        self.count(snapshot.viewers)
        self.degrade(snapshot.degraded)

    def _begin(self, snapshot: pb.Snapshot) -> None:
        there = Cursor.parse(snapshot.cursor)
        self.epoch = there.epoch
        self._relayed = snapshot.stream
        comments = placed(snapshot.comments, snapshot.comment_seqs, snapshot.comment_indices)
        beginning = Beginning(there.seq, there.seq, comments=comments, from_first=snapshot.from_first)
        self.memory = FeedMemory(self._settings, there.epoch, snapshot.stream, beginning, self._clock())

    def _take_refusal(self, refusal: Refusal) -> None:
        if is_passing(refusal):
            self.degrade(True)
            self._begin_again()
        else:
            self._over(refusal)

    def _begin_again(self) -> None:
        """Joins once more, after a pause; what comes before the answer to that is of no use."""
        self._awaits_snapshot = self._rejoins = True
        self._hole = None
        self._held, self._held_bytes = [], 0
        self._wake.set()

    def _over(self, refusal: Refusal) -> None:
        self.close(refusal)
        self._wake.set()

    # -- windows --

    def _pass_on(self, messages: Iterable[LogMessage]) -> None:
        if unseen := [message for message in messages if message.seq > self.memory.head]:
            self._publish(unseen)

    def _hold(self, batch: pb.FeedBatch) -> None:
        self._held.append(batch)
        self._held_bytes += batch.ByteSize()
        if self._held_bytes > _HOLD_BYTES:
            self._begin_again()

    async def _fill(self, hole: pb.Snapshot) -> None:
        wanted = Range(self.stream_id, self.epoch, self.memory.head, Cursor.parse(hole.cursor).seq, _HOLE)
        found: Sequence[Entry] | Refusal
        try:
            found = await self._ranges.read(wanted)
        except Refusal as refusal:
            log().warning("the feed has a hole", stream=self.stream_id, why=str(refusal))
            found = refusal
        if self._hole is not hole:
            return  # another snapshot came, or will
        if isinstance(found, Refusal) and is_passing(found):
            self._begin_again()
            return
        self._hole = None
        self._backoff.reset()
        if isinstance(found, Refusal):
            metrics.snapshots_total.labels("hole").inc()
            self._begin(hole)
            for subscriber in list(self._subscribers):
                subscriber.restarted()
        else:
            self._pass_on(_messages(found))
        held, self._held, self._held_bytes = self._held, [], 0
        for batch in held:
            self._pass_on(map(LogMessage.relayed, batch.messages))


def _messages(entries: Iterable[Entry]) -> Iterable[LogMessage]:
    for entry in entries:
        yield from map(LogMessage.relayed, pb.FeedBatch.FromString(entry.encoded).messages)
