"""One stream's subscription: live messages in, windows out, and whatever was lost on the way fetched from the log."""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg

from fanout import metrics
from fanout.gaps import Sequencer
from fanout.history import History
from fanout.memory import Beginning, FeedMemory
from fanout.messages import LogMessage
from fanout.presence import Presence
from fanout.reader import LogReader, LogUnavailable
from fanout.settings import FanoutSettings
from fanout.topic import Topic
from fanout.window import Gatherer
from livecomments.log import Shard
from livecomments.registry import StreamDirectory
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import Stream

PROBE_S = 5.0
"""How long a topic may be quiet before it asks the log for what follows: the last message may be lost, too. A replica
and the leader are asked in turn: one that is cut off from the others would say for ever that nothing follows.
"""
_FIRST_PROBE_S = 1.0
"""Interest in a subject spreads through a cluster in its own time: what came meanwhile is looked for sooner."""
_HOLD_BYTES = 8 * 1024**2
"""Live messages that wait for a repair; beyond it they are forgotten and read from the log."""
_PENDING_BYTES = 16 * 1024**2
"""Live messages that nats-py may hold while the loop is busy; what it drops beyond that is read from the log."""
_WINDOW_BYTES = 4 * 1024**2
_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class Sources:
    """Where topics take everything from."""

    client: Client
    reader: LogReader
    history: History
    directory: StreamDirectory
    presence: Presence


class LogTopic(Topic):
    """A topic that follows the log itself, and makes the windows."""

    def __init__(self, settings: FanoutSettings, sources: Sources, shard: Shard, registered: Stream) -> None:
        super().__init__(registered.stream_id)
        self.epoch = shard.epoch
        self._settings = settings
        self._client = sources.client
        self._reader = sources.reader
        self._history = sources.history
        self._directory = sources.directory
        self._presence = sources.presence
        self._shard = shard
        self._registered = registered
        self._sequencer = Sequencer(_HOLD_BYTES)
        self._gatherer = Gatherer(settings.fanout_window_ms / 1000, _WINDOW_BYTES)
        self._timer: asyncio.TimerHandle | None = None
        self._probe_at = 0.0
        self._probes_leader = False
        self._wake = asyncio.Event()
        self._broken: Exception | None = None

    def ask(self) -> None:
        """The log's leader is asked."""
        self._probe_at = 0.0
        self._probes_leader = True
        self._wake.set()

    def _known(self) -> Stream:
        return self._directory.registry.get(self.stream_id) or self._registered

    # -- its life --

    async def run(self) -> None:
        """Until cancelled. While the log does not answer, it goes on asking."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._presence.follow(self))
            tasks.create_task(self._follow())

    async def _follow(self) -> None:
        """Subscribes first, then reads history: what comes meanwhile is held, and stitched on."""
        subscription = await self._client.subscribe(
            self._shard.live_subject(self.stream_id), cb=self._heard, pending_bytes_limit=_PENDING_BYTES
        )
        try:
            self._begin(await self._find_beginning())
            await self._stay_whole()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if not self._client.is_closed:
                await subscription.unsubscribe()

    async def _find_beginning(self) -> Beginning:
        while True:
            try:
                return await self._history.read(self._shard, self.stream_id)
            except LogUnavailable as error:
                log().warning("a topic can't begin", stream=self.stream_id, error=str(error))
                await asyncio.sleep(_RETRY_S * random.uniform(0.5, 1.0))

    def _begin(self, beginning: Beginning) -> None:
        self.memory = FeedMemory(self._settings, self._shard.epoch, self._registered, beginning, self._clock())
        self._pass_on(self._sequencer.open(beginning.head))
        self._probe_at = self._clock() + _FIRST_PROBE_S * random.uniform(0.5, 1.0)
        self.opened.set()

    async def _stay_whole(self) -> None:
        while True:
            try:
                await self._repair()
                if self._clock() >= self._probe_at:
                    await self._probe()
            except LogUnavailable as error:
                log().warning("the log could not be read", stream=self.stream_id, error=str(error))
                await asyncio.sleep(_RETRY_S * random.uniform(0.5, 1.0))
                continue
            self.memory.expire(self._clock())
            try:
                async with asyncio.timeout_at(self._probe_at):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self._broken is not None:
                raise self._broken

    async def _repair(self) -> None:
        while wanted := self._sequencer.wanted:
            page = await self._reader.known_after(self._shard, self.stream_id, self._sequencer.last)
            metrics.repaired_total.labels("leader" if page.from_leader else "replica").inc(len(page.messages))
            # The leader's "nothing" is final: it was purged.
            through = page.messages[-1].seq if page.messages else wanted
            self._pass_on(self._sequencer.fetched(page.messages, through))

    async def _probe(self) -> None:
        # First of all, so that whoever asks for another meanwhile gets it.
        self._quiet()
        from_leader, self._probes_leader = self._probes_leader, not self._probes_leader
        read = self._reader.leader_after if from_leader else self._reader.after
        try:
            while (page := await read(self._shard, self.stream_id, self._sequencer.last)).messages:
                passed = self._sequencer.fetched(page.messages, page.messages[-1].seq)
                metrics.repaired_total.labels("probe").inc(len(passed))
                self._pass_on(passed)
        except LogUnavailable:
            self.ask()
            raise

    async def _heard(self, message: Msg) -> None:
        try:
            self._take(message)
        except Exception as error:
            self._break(error)

    def _take(self, message: Msg) -> None:
        headers = message.headers or {}
        if "Nats-Sequence" not in headers:
            return  # somebody else's: the log's have it
        was_whole = not self._sequencer.wanted
        decoded = LogMessage.decode(int(headers["Nats-Sequence"]), message.data)
        passed = self._sequencer.heard(decoded, int(headers.get("Nats-Last-Sequence", 0)))
        if passed:
            # An old one that comes again says nothing about what may be missing.
            self._quiet()
        self._pass_on(passed)
        if self._sequencer.wanted:
            if was_whole:
                metrics.gaps_total.inc()
            self._wake.set()

    def _break(self, error: Exception) -> None:
        # A message may be lost now, which nats-py or the loop would only have logged: ``run`` must fail instead.
        self._broken = error
        self._wake.set()

    def _quiet(self) -> None:
        self._probe_at = self._clock() + PROBE_S * random.uniform(0.8, 1.0)

    # -- windows --

    def _pass_on(self, messages: Iterable[LogMessage]) -> None:
        for message in messages:
            # One that could not be read has none: subscribers need not hear of it.
            if message.events.events:
                self._gatherer.add(message)
                self._send_if_due()

    def _send_if_due(self) -> None:
        due_at, now = self._gatherer.due_at(), self._clock()
        if due_at is None:
            return
        if due_at <= now:
            self._send(now)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(due_at, self._ring_out)

    def _ring_out(self) -> None:
        self._timer = None
        try:
            # The loop's timers may ring a clock tick early; then this sets the next.
            self._send_if_due()
        except Exception as error:
            self._break(error)

    def _send(self, now: float) -> None:
        self._publish(self._gatherer.take(now))
