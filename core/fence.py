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

from core.gist import Gist, gist_of, write_gist
from core.ids import CommentIds
from core.ledger import Draft, Ledger
from core.limits import UserRate
from core.metrics import COMMIT_SECONDS, FENCED, IN_DOUBT, TAKEOVER_SECONDS
from core.requests import REMEMBERED_MS
from core.stream_log import Fenced, InDoubt, LogFull, LogUnreadable, StreamLog
from core.streams import Conflict, RegistryUnavailable, StreamStore
from core.summaries import StreamSummaries
from core.takeover import Watch, by_log, by_summaries, check_reached, into, look_back_ms, unwatched
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import EventBatch, Stream

_TRY_S = 1.0

_process = secrets.token_hex(8)
_numbers = itertools.count()


class Fence:
    """The ledger of a stream, what stands behind it in the log, and what the registry knows of it.

    ``take_over`` comes first. From then on whoever uses it holds ``turn``; but for ``project``, which runs beside the
    others, once at a time, and takes its turn where it has to.
    """

    def __init__(
        self,
        stream: Stream,
        revision: int,
        stream_log: StreamLog,
        store: StreamStore,
        *,
        summaries: StreamSummaries,
        rate: UserRate,
    ) -> None:
        self.log = stream_log
        self._summaries = summaries
        self._store = store
        self._rate = rate
        self._ids = CommentIds()
        self._written = stream
        self._revision = revision
        self._knew_at = -math.inf
        self.ledger = Ledger(stream, rate, self._ids)
        self.turn = asyncio.Lock()

    async def take_over(self) -> None:
        """Learns the stream's last two minutes, or as much as its limits look back; raises LogUnreadable."""
        began = time.monotonic()
        last = await self.log.last()
        if last is not None:
            ledger = self._anew()
            source = "SUMMARIES"
            if not await by_summaries(ledger, self.log, self._summaries, self._rate, last):
                source, ledger = "LOG", self._anew()
                await by_log(ledger, self.log, self._rate, last, unwatched)
            self.ledger = ledger
            TAKEOVER_SECONDS.labels(source).observe(time.monotonic() - began)
        self._knew_at = began

    def sum_up(self) -> None:
        """Leaves a summary of what was learned since the last one, when that is enough. Never waits."""
        stretch, epoch = self.ledger.stretch, self._summaries.epoch
        if stretch.is_long:
            self._summaries.leave(stretch.write_summary(epoch))
            if counts_ms := look_back_ms(self.ledger, self._rate):
                self._summaries.leave_charges(stretch.write_charges(epoch), counts_ms)
            self.ledger.begin_stretch()

    async def commit(self, draft: Draft) -> int | None:
        """Appends a draft that was decided on this ledger; returns its sequence, the ledger then holds it.

        None: another core appended first; the ledger holds what it did, the draft was not stored and never will be:
        decide again. Raises LogFull when the log refuses it for its size; it was not stored and never will be.
        An append in doubt is repeated unchanged until it is known, however long that takes; only cancellation leaves
        it in doubt.
        """
        return await self._append(draft.batch, draft.gist, lambda seq: self.ledger.commit(seq, draft))

    async def append(self, batch: EventBatch) -> int | None:
        """The same with any batch."""
        return await self._append(batch, gist_of(batch), lambda seq: self.ledger.apply(seq, batch))

    async def _append(self, batch: EventBatch, gist: Gist, hold: Callable[[int], None]) -> int | None:
        after_seq = self.ledger.last_seq
        payload = batch.SerializeToString()
        header = write_gist(gist)
        msg_id = f"{_process}-{next(_numbers)}"
        is_in_doubt = False
        started = time.perf_counter()
        while True:
            tried_at = time.monotonic()
            try:
                seq = await self.log.append(payload, header, after_seq, msg_id, _TRY_S)
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
                hold(seq)
                return seq
            await _pause()

    async def knew(self, moment: float) -> bool:
        """Whether the ledger held at ``moment`` (monotonic seconds) all that the log did.

        If it may not have, it does on return: what was decided on it is to be decided again. Insists until the log
        can be read, as ``append`` does.
        """
        if moment <= self._knew_at:
            return True
        await self._insist_on_tail(unwatched)
        return False

    async def project(self) -> None:
        """Writes what the log did to the stream into the registry; raises RegistryUnavailable or LogUnreadable.

        When another core wrote there before, its events are read first: the log's order decides, not the writers'.
        Cancelled, it may have written.
        """
        while self.ledger.unprojected:
            # More may come while it is being written: at the end of the list, and of any ledger that takes its place.
            told, stream = len(self.ledger.unprojected), self.ledger.stream
            if stream != self._written:
                try:
                    self._revision = await self._store.replace(stream, self._revision)
                except Conflict:
                    async with self.turn:
                        await self._adopt_registry()
                    continue
                self._written = stream
            del self.ledger.unprojected[:told]

    @property
    def stream_id(self) -> str:
        return self.ledger.stream.stream_id

    async def _adopt_registry(self) -> None:
        entry = await self._store.read(self.stream_id)
        if entry is None:
            raise RegistryUnavailable("the stream's entry is gone")
        await self._read_tail(unwatched)
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
            await self.log.replay_from(self.ledger.last_seq + 1, into(self.ledger, watch))
            check_reached(self.ledger, last.seq)
        self._knew_at = began

    async def _take_over(self, watch: Watch) -> None:
        began = time.monotonic()
        ledger = self._anew()
        last = await self.log.last()
        if last is not None:
            await by_log(ledger, self.log, self._rate, last, watch)
        self.ledger = ledger
        self._knew_at = began

    def _anew(self) -> Ledger:
        ledger = Ledger(self.ledger.stream, self._rate, self._ids)
        ledger.unprojected = self.ledger.unprojected.copy()
        return ledger


async def _pause() -> None:
    await asyncio.sleep(random.uniform(0.05, 0.15))
