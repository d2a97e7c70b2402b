"""Looks after the log from outside the writers: how far the database is behind, and whether there is room."""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NoReturn

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from livecomments.cursor import Cursor
from livecomments.log import epoch_of, shard_name
from livecomments.telemetry import log
from storage import metrics
from storage.lag import Lag
from storage.store import Store, StoreUnavailable
from storage.trim import make_room, trim

_LOOK_EVERY_S = 1.0
_LOOK_S = 5.0
_ANSWER_S = 2.5
_TRIM_EVERY_S = 300.0


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays in the log although it is written."""

    usually: timedelta
    when_full: timedelta
    """Shorter: what core and fanout need. The rest makes room."""


class LogWatch:
    """Watches all shards. Any storage may do it, and each does: what one has purged the next one finds gone."""

    def __init__(self, js: JetStreamContext, store: Store, shards: int, keep: Keep) -> None:
        self._js = js
        self._store = store
        self._keep = keep
        self.lags: Mapping[int, Lag] = {shard: Lag() for shard in range(shards)}
        """By shard; the writers tell them what they write."""
        self._written: dict[int, Cursor] = {}
        self._told = dict.fromkeys(range(shards), 0)
        self._trim_at = dict.fromkeys(range(shards), _trim_time())
        self._failing: set[int] = set()
        for shard, lag in self.lags.items():
            metrics.LAG_MESSAGES.labels(shard).set_function(partial(_messages, lag))
            metrics.LAG_SECONDS.labels(shard).set_function(partial(_seconds, lag))

    async def run(self) -> NoReturn:
        """Looks about once a second until cancelled; what fails is tried again."""
        while True:
            for shard in self.lags:
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await self._look(shard)
                except (NatsError, OSError, TimeoutError, StoreUnavailable) as error:
                    if shard not in self._failing:
                        self._failing.add(shard)
                        log().warning("the log can't be looked after", shard=shard, error=repr(error))
                else:
                    self._failing.discard(shard)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _look(self, shard: int) -> None:
        lag = self.lags[shard]
        told = lag.told
        info = await self._js.stream_info(shard_name(shard))
        if info.config.max_bytes and info.config.max_bytes > 0:
            metrics.LOG_FILLED.labels(shard).set(info.state.bytes / info.config.max_bytes)
        if told == self._told[shard]:
            await self._ask_database(shard, info)
            await self._measure(shard, info, told)
        else:
            # The writer is at work, and knows all that better.
            self._told[shard] = told
            self._written[shard] = Cursor(epoch_of(info), lag.written_seq)
        await self._trim(shard, info)

    async def _ask_database(self, shard: int, info: StreamInfo) -> None:
        """How far it is written. Without an answer what was known stays: nobody writes meanwhile."""
        known = self._written.get(shard)
        if known == Cursor(epoch_of(info), info.state.last_seq):
            return
        try:
            async with asyncio.timeout(_ANSWER_S):
                position = await self._store.position(shard)
        except (StoreUnavailable, TimeoutError):
            return
        is_of_this_log = position is not None and position.epoch == epoch_of(info)
        self._written[shard] = position if position and is_of_this_log else Cursor(epoch_of(info), 0)

    async def _measure(self, shard: int, info: StreamInfo, told: int) -> None:
        lag = self.lags[shard]
        written = self._written.get(shard)
        written_seq = max(written.seq if written else 0, info.state.first_seq - 1)
        oldest = None
        if info.state.last_seq > written_seq and not lag.knows(written_seq + 1):
            found = await self._js.get_msg(shard_name(shard), written_seq + 1, f"comments.{shard}.*", next=True)
            assert found.time is not None
            oldest = written_seq + 1, found.time.timestamp()
        if lag.told == told:
            lag.seen(written_seq, info.state.last_seq, oldest)

    async def _trim(self, shard: int, info: StreamInfo) -> None:
        now = datetime.now(UTC)
        purged = await make_room(self._js, self._store, shard, now - self._keep.when_full, info)
        if time.monotonic() >= self._trim_at[shard]:
            self._trim_at[shard] = _trim_time()
            purged += await trim(self._js, self._store, shard, now - self._keep.usually)
        if purged:
            metrics.TRIMMED.labels(shard).inc(purged)
            log().info("trimmed the log", shard=shard, messages=purged)


def _seconds(lag: Lag) -> float:
    return lag.seconds(time.time())


def _messages(lag: Lag) -> int:
    return lag.messages


def _trim_time() -> float:
    return time.monotonic() + _TRIM_EVERY_S * random.uniform(0.8, 1.2)
