"""Ends streams whose end was announced, whichever core announced it, also over restarts."""

import asyncio
import time

from core import changes
from core.committers import Committers
from livecomments.errors import Refusal
from livecomments.registry import Registry
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, Stream

_LOOK_EVERY_S = 1.0


class Endings:
    """Watches the registry for ends that come due. Every core does: the fence makes it happen once."""

    def __init__(self, registry: Registry, committers: Committers) -> None:
        self._registry = registry
        self._committers = committers
        self._announced = asyncio.Event()

    def look(self) -> None:
        """An end was announced here: what comes next may come sooner."""
        self._announced.set()

    async def run(self) -> None:
        """Until cancelled. An end that can't be committed now is tried again."""
        while True:
            now_ms = time.time() * 1000
            announced = [stream for stream in self._registry.all() if _is_announced(stream)]
            async with asyncio.TaskGroup() as tasks:
                for stream in announced:
                    if stream.ends_at_ms <= now_ms:
                        tasks.create_task(self._end(stream))
            next_s = min((stream.ends_at_ms - now_ms for stream in announced), default=1000 * _LOOK_EVERY_S) / 1000
            self._announced.clear()
            try:
                async with asyncio.timeout(min(max(next_s, 0.05), _LOOK_EVERY_S)):
                    await self._announced.wait()
            except TimeoutError:
                pass

    async def _end(self, stream: Stream) -> None:
        try:
            await self._committers.of(stream).change(changes.end_when_due())
        except Refusal as refusal:
            log().warning("an announced end has to wait", stream=stream.stream_id, error=str(refusal))


def _is_announced(stream: Stream) -> bool:
    return bool(stream.ends_at_ms) and stream.state != STREAM_STATE_ENDED
