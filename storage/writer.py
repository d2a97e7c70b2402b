"""The writer: carries one shard of the log into the store, in order, each message once."""

import asyncio
import time
from dataclasses import replace
from typing import NoReturn

from nats.aio.client import Client
from nats.errors import Error as NatsError

from livecomments.backoff import Backoff
from livecomments.cursor import Cursor
from livecomments.log import epoch_of, shard_name
from livecomments.telemetry import log
from storage import metrics
from storage.batches import LogMessage, Poison, batch_of
from storage.dead_letters import DeadLetters
from storage.lag import Lag
from storage.pull import Delivery, PullLost, open_pull, stand_behind
from storage.store import Batch, NotStorable, OutOfStep, Store, StoreUnavailable
from storage.turn import until_nobody_writes, writing

API_S = 2.0
"""Deadline of a request to JetStream."""
HOLD_S = 30.0
"""How long one batch may take, with all its repetitions, and taking a place in the log. After that what is at hand is
let go, and another storage may try: the database may be within its reach.
"""

STALE_S = 12.0
"""A leader that was deposed, or is cut off from the others, may answer for the log as it was for so long: after 10 s it
knows. Only an end that stays before what is written is believed.
"""

_Failure = (NatsError, OSError, TimeoutError, PullLost, OutOfStep, StoreUnavailable)


class Writer:
    """Writes one shard. The store's position is the truth; the consumer is made to follow it."""

    def __init__(self, client: Client, store: Store, dead_letters: DeadLetters, number: int, lag: Lag) -> None:
        """``lag`` is told of what is written."""
        self._client = client
        self._js = client.jetstream(timeout=API_S)
        self._store = store
        self._dead_letters = dead_letters
        self._number = number
        self._stream = shard_name(number)
        self._lag = lag
        self._backoff = Backoff()
        self._log = log().bind(shard=number)
        self._is_stalled = False
        self._shorter_since: float | None = None

    @property
    def is_stalled(self) -> bool:
        """It is its turn, and the last try to write failed or was given up. Nothing is lost: the log keeps it."""
        return self._is_stalled

    async def run(self) -> NoReturn:
        """Writes until cancelled, while no other storage does. Whatever fails (NATS, the database) is logged and tried
        again, at most 5 s later; cancelled between a write and its acknowledgement, the message comes again and
        changes nothing.
        """
        while True:
            try:
                await until_nobody_writes(self._client, self._number, lambda: self._set_stalled(False))
                async with writing(self._client, self._number):
                    metrics.WRITING.labels(self._number).set(1)
                    await self._follow()
            except _Failure as error:
                # A hole in what was delivered, or another storage's turn, says nothing about the database.
                self._set_stalled(isinstance(error, (StoreUnavailable, TimeoutError)))
                self._log.warning("the writer takes its place anew", error=repr(error))
            finally:
                metrics.WRITING.labels(self._number).set(0)
            await asyncio.sleep(self._backoff.next_s())

    async def _follow(self) -> NoReturn:
        async with asyncio.timeout(HOLD_S):
            position = await self._take_place()
            delivered = await stand_behind(self._js, self._stream, position.seq)
        async with open_pull(self._client, self._stream, position.seq, delivered) as pull:
            self._set_stalled(False)
            while True:
                deliveries = await pull.next()
                async with asyncio.timeout(HOLD_S):
                    position = await self._carry(position, deliveries)
                await self._client.publish(deliveries[-1].reply)
                self._backoff.reset()

    def _is_shorter(self, last_seq: int, written_seq: int) -> bool:
        """Whether the log ends before what is written; raises PullLost while that may be an old leader's word."""
        if last_seq >= written_seq:
            self._shorter_since = None
            return False
        now = time.monotonic()
        if self._shorter_since is None:
            self._shorter_since = now
        if now - self._shorter_since < STALE_S:
            raise PullLost(f"the log is said to end at {last_seq}, {written_seq} is written: asking again")
        self._shorter_since = None
        return True

    async def _take_place(self) -> Cursor:
        """Where the store stands in the log as it is now."""
        info = await self._js.stream_info(self._stream)
        known = await self._store.position(self._number)
        position = await self._store.adopt(self._number, epoch_of(info))
        if known is not None and known.epoch != position.epoch:
            metrics.NEW_EPOCHS.labels(self._number).inc()
            self._log.error(
                "the log has a new epoch: writing it from its beginning", was=known.epoch, now=position.epoch
            )
        if self._is_shorter(info.state.last_seq, position.seq):
            # Same epoch, fewer messages: a log that came back from an older copy and was not given a new epoch.
            self._log.error(
                "the log ends before what is written: writing it again",
                written=str(position),
                last_seq=info.state.last_seq,
            )
            await self._store.rewind(self._number, 0)
            position = Cursor(position.epoch, 0)
        if info.state.first_seq > position.seq + 1:
            self._log.error(
                "the log begins behind what is written: what lies between is not in the database",
                written=str(position),
                first_seq=info.state.first_seq,
            )
        return position

    async def _carry(self, position: Cursor, new: list[Delivery]) -> Cursor:
        """Writes all that stands behind ``position``; returns the position behind it."""
        self._lag.at_hand(new[0].message.seq, new[0].stored_at_s, len(new) - 1 + new[-1].pending)
        messages = [delivery.message for delivery in new]
        metrics.BATCH_MESSAGES.observe(len(messages))
        with metrics.WRITE_SECONDS.time():
            position = await self._write(position, messages)
        self._lag.wrote(position.seq, new[-1].stored_at_s)
        return position

    async def _write(self, position: Cursor, messages: list[LogMessage]) -> Cursor:
        batch, poisons = batch_of(self._number, position, messages)
        for poison in poisons:
            await self._bury(position.epoch, poison)
        try:
            rows = await self._apply(batch)
        except NotStorable as error:
            if len(messages) > 1:
                # Only what the database will never take is left out.
                for message in messages:
                    position = await self._write(position, [message])
                return position
            await self._bury(position.epoch, Poison(messages[0], str(error)))
            rows = await self._apply(replace(batch, comments=(), deletions=(), ends=()))
        metrics.ROWS.inc(rows)
        return Cursor(position.epoch, batch.through_seq)

    async def _apply(self, batch: Batch) -> int:
        while True:
            try:
                rows = await self._store.apply(batch)
            except StoreUnavailable as error:
                metrics.WRITE_FAILURES.inc()
                self._set_stalled(True)
                wait_s = self._backoff.next_s()
                self._log.warning("the database did not take a batch", error=str(error), again_in_s=round(wait_s, 2))
            else:
                self._set_stalled(False)
                return rows
            await asyncio.sleep(wait_s)

    async def _bury(self, epoch: str, poison: Poison) -> None:
        await self._dead_letters.bury(self._number, epoch, poison)
        metrics.DEAD_LETTERS.labels(self._number).inc()
        self._log.error(
            "a message can't be written: it is in the dead letters",
            stream_id=poison.message.stream_id,
            seq=poison.message.seq,
            why=poison.why,
        )

    def _set_stalled(self, is_stalled: bool) -> None:
        self._is_stalled = is_stalled
        metrics.STALLED.labels(self._number).set(is_stalled)
