"""Keeps the log short: what is both written and old is purged from it."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from livecomments.log import epoch_of, shard_name
from livecomments.telemetry import log
from storage import metrics
from storage.store import Store, StoreUnavailable

_EVERY_S = 300.0
_CONSUMER_GONE_AFTER_S = 5.0


async def trim(js: JetStreamContext, store: Store, shard: int, older_than: datetime) -> int:
    """Purges what is written and was stored in the log before ``older_than``; returns how many messages that were.

    Never a message that is not written: when the store knows another epoch, or none, nothing is purged.
    """
    stream = shard_name(shard)
    info = await js.stream_info(stream)
    written = await store.position(shard)
    if written is None or written.epoch != epoch_of(info):
        return 0
    keep_from = min(written.seq + 1, await first_since(js, stream, older_than))
    if keep_from <= info.state.first_seq:
        return 0
    await js.purge_stream(stream, seq=keep_from)
    return keep_from - info.state.first_seq


async def first_since(js: JetStreamContext, stream: str, moment: datetime) -> int:
    """Sequence of the first message stored at ``moment`` or later; one behind the last when there is none."""
    # A new consumer by start time stands right before it: one question instead of a search.
    created = await js.add_consumer(
        stream,
        ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=moment,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=_CONSUMER_GONE_AFTER_S,
        ),
    )
    await js.delete_consumer(stream, created.name)
    assert created.delivered is not None
    return created.delivered.stream_seq + 1


async def keep_trimming(js: JetStreamContext, store: Store, shards: int, keep: timedelta) -> NoReturn:
    """Trims all shards about every five minutes; a failure is logged, and left to the next time."""
    while True:
        await asyncio.sleep(_EVERY_S * random.uniform(0.8, 1.2))
        for shard in range(shards):
            try:
                purged = await trim(js, store, shard, datetime.now(UTC) - keep)
            except (NatsError, TimeoutError, StoreUnavailable) as error:
                log().warning("the log could not be trimmed", shard=shard, error=repr(error))
                continue
            if purged:
                metrics.TRIMMED.labels(shard).inc(purged)
                log().info("trimmed the log", shard=shard, messages=purged)
