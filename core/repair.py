"""Brings the registry up to the log after a core died between the two."""

import asyncio
import random
from collections.abc import Callable

from core.committers import Committers
from core.stream_log import LogUnreadable, StreamLog
from livecomments.errors import Refusal
from livecomments.registry import Registry
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED


async def repair_registry(
    registry: Registry, committers: Committers, open_stream_log: Callable[[str], StreamLog]
) -> None:
    """Takes over every live stream whose last message is not a comment: its committer tells the registry.

    A change that is not the last message needs nothing: who appended behind it had read it, and told the registry.
    """
    for stream in registry.all():
        if stream.state != STREAM_STATE_ENDED and await _ends_with_change(open_stream_log(stream.stream_id)):
            try:
                committers.of(stream)
            except Refusal as refusal:
                log().warning("registry not repaired", stream=stream.stream_id, error=str(refusal))


async def _ends_with_change(stream_log: StreamLog) -> bool:
    while True:
        try:
            last = await stream_log.last()
        except LogUnreadable as error:
            log().warning("registry not repaired yet", error=str(error))
            await asyncio.sleep(random.uniform(0.5, 1.5))
        else:
            return last is not None and any(not event.HasField("posted") for event in last.batch.events[:1])
