"""The writer: carries one shard of the log into the store, in order, each message once."""

import asyncio
import time
from typing import NoReturn

from nats.aio.client import Client
from nats.errors import Error as NatsError

from livecomments.backoff import Backoff
from livecomments.cursor import Cursor
from livecomments.log import epoch_of, shard_name
from livecomments.telemetry import log
from storage import metrics
from storage.batches import batch_of
from storage.dead_letters import DeadLetters
from storage.pull import Delivery, PullLost, open_pull, stand_behind
from storage.store import Batch, OutOfStep, Store, StoreUnavailable

API_S = 2.0
"""Deadline of a request to JetStream."""


class Writer:
    """Writes one shard. The store's position is the truth; the consumer is made to follow it."""

    def __init__(self, client: Client, store: Store, dead_letters: DeadLetters, number: int) -> None:
        self._client = client
        self._js = client.jetstream(timeout=API_S)
        self._store = store
        self._dead_letters = dead_letters
        self._number = number
        self._stream = shard_name(number)
        self._backoff = Backoff()
        self._log = log().bind(shard=number)
        self._at_hand_since_s: float | None = None
        metrics.LAG_SECONDS.labels(number).set_function(self._lag_s)

    async def run(self) -> NoReturn:
        """Writes until cancelled. Whatever fails (NATS, the database) is logged and tried again, at most 5 s later;
        cancelled between a write and its acknowledgement, the message comes again and changes nothing.
        """
        while True:
            try:
                await self._follow()
            except (NatsError, OSError, TimeoutError, PullLost, OutOfStep, StoreUnavailable) as error:
                self._log.warning("the writer takes its place anew", error=repr(error))
            finally:
                self._at_hand_since_s = None
            await asyncio.sleep(self._backoff.next_s())

    async def _follow(self) -> NoReturn:
        position = await self._take_place()
        delivered = await stand_behind(self._js, self._stream, position.seq)
        async with open_pull(self._client, self._stream, delivered) as pull:
            while True:
                deliveries = await pull.next()
                position = await self._carry(position, deliveries)
                await self._client.publish(deliveries[-1].reply)
                metrics.LAG_MESSAGES.labels(self._number).set(deliveries[-1].pending)
                self._backoff.reset()

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
        if info.state.last_seq < position.seq:
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

    async def _carry(self, position: Cursor, deliveries: list[Delivery]) -> Cursor:
        """Writes what is new among the deliveries; returns the position behind them."""
        new = [delivery for delivery in deliveries if delivery.message.seq > position.seq]
        if not new:
            return position
        self._at_hand_since_s = new[0].stored_at_s
        metrics.LAG_MESSAGES.labels(self._number).set(len(new) + new[-1].pending)
        batch, poisons = batch_of(self._number, position, (delivery.message for delivery in new))
        for poison in poisons:
            await self._dead_letters.bury(self._number, position.epoch, poison)
            metrics.DEAD_LETTERS.labels(self._number).inc()
            self._log.error(
                "a message can't be written: it is in the dead letters",
                stream_id=poison.message.stream_id,
                seq=poison.message.seq,
                why=poison.why,
            )
        metrics.BATCH_MESSAGES.observe(len(new))
        with metrics.WRITE_SECONDS.time():
            metrics.ROWS.inc(await self._write(batch))
        self._at_hand_since_s = None
        return Cursor(position.epoch, batch.through_seq)

    async def _write(self, batch: Batch) -> int:
        while True:
            try:
                return await self._store.apply(batch)
            except StoreUnavailable as error:
                metrics.WRITE_FAILURES.inc()
                wait_s = self._backoff.next_s()
                self._log.warning("the database did not take a batch", error=str(error), again_in_s=round(wait_s, 2))
            await asyncio.sleep(wait_s)

    def _lag_s(self) -> float:
        return 0.0 if self._at_hand_since_s is None else max(0.0, time.time() - self._at_hand_since_s)
