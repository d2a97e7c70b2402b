"""One stream's end of the log, held under a fence: append if nobody else did, else read what they appended.

Several cores may hold the same stream and each believe that it is alone. Every append names the sequence that it was
decided on; the log refuses all but one, and the others read the tail and decide again (design.md, section 3.4).
"""

import asyncio
import itertools
import math
import random
import secrets
import time
from collections.abc import Callable

from core.gist import gist_of, write_gist
from core.ids import CommentIds
from core.ledger import Ledger
from core.limits import UserRate
from core.metrics import COMMIT_SECONDS, FENCED, IN_DOUBT
from core.requests import REMEMBERED_MS
from core.stream_log import Fenced, InDoubt, LogFull, LogGist, LogMessage, LogUnreadable, StreamLog
from core.streams import Conflict, RegistryUnavailable, StreamStore
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import EventBatch, Stream

_TRY_S = 1.0
_SKEW_MS = 10_000
"""How far the clocks of core and nats-server may be apart."""

Watch = Callable[[int, str], None]
"""Is told the sequence and the Nats-Msg-Id of each message that is read."""

_process = secrets.token_hex(8)
_numbers = itertools.count()


class Fence:
    """The ledger of a stream, what stands behind it in the log, and what the registry knows of it.

    One task at a time uses it. ``take_over`` comes first.
    """

    def __init__(
        self, stream: Stream, revision: int, stream_log: StreamLog, store: StreamStore, rate: UserRate
    ) -> None:
        self.log = stream_log
        self._store = store
        self._rate = rate
        self._ids = CommentIds()
        self._written = stream
        self._revision = revision
        self._knew_at = -math.inf
        self.ledger = Ledger(stream, rate, self._ids)

    async def take_over(self) -> None:
        """Reads the stream's last two minutes, or as much as its limits look back; raises LogUnreadable."""
        await self._take_over(_nothing)

    async def append(self, batch: EventBatch) -> int | None:
        """Appends a batch that was decided on this ledger; returns its sequence, the ledger then holds it.

        None: another core appended first; the ledger holds what it did, the batch was not stored and never will be:
        decide again. Raises LogFull when the log refuses it for its size; it was not stored and never will be.
        An append in doubt is repeated unchanged until it is known, however long that takes; only cancellation leaves
        it in doubt.
        """
        after_seq = self.ledger.last_seq
        payload = batch.SerializeToString()
        gist = write_gist(gist_of(batch))
        msg_id = f"{_process}-{next(_numbers)}"
        is_in_doubt = False
        started = time.perf_counter()
        while True:
            tried_at = time.monotonic()
            try:
                seq = await self.log.append(payload, gist, after_seq, msg_id, _TRY_S)
            except Fenced:
                FENCED.inc()
                own_seq = await self._find_own(msg_id)
                if own_seq is not None:
                    COMMIT_SECONDS.observe(time.perf_counter() - started)
                    return own_seq
                if self.ledger.last_seq != after_seq:
                    return None
                # In a cluster: the other append is on its way, and may still fail.
            except LogFull:
                # It says nothing about an earlier attempt that may still be on its way.
                if not is_in_doubt:
                    raise
            except InDoubt as error:
                IN_DOUBT.inc()
                log().warning("append in doubt", stream=self.stream_id, error=str(error))
                is_in_doubt = True
            else:
                COMMIT_SECONDS.observe(time.perf_counter() - started)
                self._knew_at = tried_at
                self.ledger.apply(seq, batch)
                return seq
            await _pause()

    async def knew(self, moment: float) -> bool:
        """Whether the ledger held at ``moment`` (monotonic seconds) all that the log did.

        If it may not have, it does on return: what was decided on it is to be decided again. Insists until the log
        can be read, as ``append`` does.
        """
        if moment <= self._knew_at:
            return True
        await self._insist_on_tail(_nothing)
        return False

    async def project(self) -> None:
        """Writes what the log did to the stream into the registry; raises RegistryUnavailable or LogUnreadable.

        When another core wrote there before, its events are read first: the log's order decides, not the writers'.
        """
        while self.ledger.unprojected:
            stream = self.ledger.stream
            if stream != self._written:
                try:
                    self._revision = await self._store.replace(stream, self._revision)
                except Conflict:
                    await self._adopt_registry()
                    continue
                self._written = stream
            self.ledger.unprojected.clear()

    @property
    def stream_id(self) -> str:
        return self.ledger.stream.stream_id

    async def _adopt_registry(self) -> None:
        entry = await self._store.read(self.stream_id)
        if entry is None:
            raise RegistryUnavailable("the stream's entry is gone")
        await self._read_tail(_nothing)
        self._written, self._revision = entry
        self.ledger.rebase(self._written)

    async def _find_own(self, msg_id: str) -> int | None:
        """Reads the tail, insisting; the sequence of the message ``msg_id`` when it is there."""
        found: int | None = None

        def watch(seq: int, its_msg_id: str) -> None:
            nonlocal found
            if its_msg_id == msg_id:
                found = seq

        await self._insist_on_tail(watch)
        return found

    async def _insist_on_tail(self, watch: Watch) -> None:
        while True:
            try:
                await self._read_tail(watch)
                return
            except LogUnreadable as error:
                log().warning("tail not read", stream=self.stream_id, error=str(error))
            await _pause()

    async def _read_tail(self, watch: Watch) -> None:
        began = time.monotonic()
        last = await self.log.last()
        is_old = began - self._knew_at > REMEMBERED_MS / 1000
        if last is None or last.seq < self.ledger.last_seq or is_old:
            # Trimmed, restored, or so much may stand there that reading it all makes no sense.
            await self._take_over(watch)
        elif last.seq > self.ledger.last_seq:
            await self.log.replay_from(self.ledger.last_seq + 1, _into(self.ledger, watch))
            if self.ledger.last_seq < last.seq:
                raise LogUnreadable("the consumer stands behind the leader")
        self._knew_at = began

    async def _take_over(self, watch: Watch) -> None:
        began = time.monotonic()
        ledger = Ledger(self.ledger.stream, self._rate, self._ids)
        ledger.unprojected = self.ledger.unprojected.copy()
        last = await self.log.last()
        if last is not None:
            await self._learn(ledger, last, watch)
            await self._charge(ledger, last, watch)
        self.ledger = ledger
        self._knew_at = began

    async def _learn(self, ledger: Ledger, last: LogMessage, watch: Watch) -> None:
        """All that happened in the last two minutes, and the last thing that did."""

        def learn(message: LogGist) -> None:
            ledger.learn(message.seq, message.gist)
            ledger.forget_requests()
            watch(message.seq, message.msg_id)

        since_ms = _ago(REMEMBERED_MS)
        await self.log.replay_gists_since(since_ms, learn)
        if ledger.last_seq == 0 and last.stored_at_ms < since_ms:
            learn(LogGist(last.seq, last.msg_id, gist_of(last.batch)))
        if ledger.last_seq < last.seq:
            raise LogUnreadable("the consumer stands behind the leader")

    async def _charge(self, ledger: Ledger, last: LogMessage, watch: Watch) -> None:
        """Who posted so lately that their limits may still hold them back; and what was appended meanwhile."""
        charged_seq = 0

        def charge(message: LogMessage) -> None:
            nonlocal charged_seq
            if message.seq <= ledger.last_seq:
                ledger.charge(message.batch)
            else:
                ledger.apply(message.seq, message.batch)
                watch(message.seq, message.msg_id)
            charged_seq = message.seq

        since_ms = _ago(max(ledger.stream.slow_mode_s * 1000, int(self._rate.window_ms)))
        await self.log.replay_since(since_ms, charge)
        if charged_seq < last.seq and last.stored_at_ms >= since_ms:
            raise LogUnreadable("the consumer stands behind the leader")


def _ago(ms: int) -> int:
    """The time on nats-server's clock, ms since the Unix epoch, that is at least so long ago on ours."""
    return int(time.time() * 1000) - ms - _SKEW_MS


def _into(ledger: Ledger, watch: Watch) -> Callable[[LogMessage], None]:
    def apply(message: LogMessage) -> None:
        ledger.apply(message.seq, message.batch)
        watch(message.seq, message.msg_id)

    return apply


def _nothing(_seq: int, _msg_id: str) -> None:
    """Nobody watches."""


async def _pause() -> None:
    await asyncio.sleep(random.uniform(0.05, 0.15))
