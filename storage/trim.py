"""Keeps the log short: what is written is purged from it when it is old, or in the way of new messages."""

import math
from datetime import datetime

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamInfo

from livecomments.cursor import Cursor
from livecomments.log import epoch_of, shard_name
from storage.store import Store

_CONSUMER_GONE_AFTER_S = 5.0
_ROOM_SHARE = 0.1
_ROOM_BYTES = 2 * 1024 * 1024
"""With less room than this share of the log, or these few of core's largest batches, it is nearly full."""


async def trim(js: JetStreamContext, store: Store, shard: int, older_than: datetime) -> int:
    """Purges what is written and was stored in the log before ``older_than``; returns how many messages that were.

    Never a message that is not written: when the store knows another epoch, or none, nothing is purged.
    """
    info = await js.stream_info(shard_name(shard))
    return await _purge(js, info, await store.position(shard), info.state.messages, older_than)


async def make_room(js: JetStreamContext, store: Store, shard: int, older_than: datetime, info: StreamInfo) -> int:
    """The same for a log that is nearly full, the oldest messages first and no more than make room for a while.

    ``info``: what the log looks like now. A log with room enough is left alone.
    """
    state = info.state
    needed = messages_in_the_way(state.messages, state.bytes, info.config.max_bytes or -1)
    return await _purge(js, info, await store.position(shard), needed, older_than) if needed else 0


def messages_in_the_way(messages: int, size: int, max_bytes: int) -> int:
    """How many of the oldest messages have to go so that there is twice the room at which a log is nearly full; 0 for
    one that is not, or has no limit (-1). They are taken to be of one size. ``size`` and ``max_bytes``: bytes.
    """
    room = max(_ROOM_SHARE * max_bytes, _ROOM_BYTES)
    if max_bytes <= 0 or messages == 0 or max_bytes - size >= room:
        return 0
    return min(messages, math.ceil((2 * room - (max_bytes - size)) / (size / messages)))


async def _purge(
    js: JetStreamContext, info: StreamInfo, written: Cursor | None, most: int, older_than: datetime
) -> int:
    """``most``: messages."""
    stream = info.config.name
    assert stream is not None
    if written is None or written.epoch != epoch_of(info):
        return 0
    keep_from = min(written.seq + 1, info.state.first_seq + most)
    if keep_from <= info.state.first_seq:
        return 0
    keep_from = min(keep_from, await first_since(js, stream, older_than))
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
