"""Where cores leave summaries of busy streams for each other: a JetStream stream in memory.

Whatever may be missing there: a core that finds no summary reads the log. So nobody waits for one to be stored, and
the stream is made when the first one is to be left.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import NoStreamResponseError, NotFoundError

from core.metrics import SUMMARIES_LOST
from core.replay import Delivery, ReplayLost, replay
from core.summary import Charges, Summary, read_charges, read_summary
from livecomments.ensure import ensure
from livecomments.log import Shard
from livecomments.settings import SettingsError
from livecomments.telemetry import log

STREAM = "SUMMARIES"
MAX_AGE_S = 150
"""Longer than a core looks back for requests."""
_MARGIN_S = 12
"""How much longer than they count charges are kept: when they are gone, the log's part is too old to be read, too."""
_MAX_BYTES = 256 * 1024 * 1024
_WAITING_MAX = 64
_PUBLISH_S = 1.0
_READ_S = 0.5
"""So little that one who waits in vain and reads the log is not much later."""
_AGAIN_S = 2.0

T = TypeVar("T")


class SummariesUnreadable(Exception):
    """They could not be read in time."""


class StreamSummaries:
    """Those of one stream."""

    def __init__(self, summaries: "Summaries", shard: Shard, stream_id: str) -> None:
        self._summaries = summaries
        self._epoch = shard.epoch
        self._subject = f"summaries.{shard.number}.{stream_id}"
        self._charges_subject = f"charges.{shard.number}.{stream_id}"

    @property
    def epoch(self) -> str:
        """Of the log's life that they are about."""
        return self._epoch

    def leave(self, summary: bytes) -> None:
        """Leaves what ``Stretch`` has written. Never waits; it may get lost."""
        self._summaries.publish(self._subject, summary, MAX_AGE_S)

    def leave_charges(self, charges: bytes, count_ms: int) -> None:
        """The same with the charges, which hold somebody back for so long at most."""
        ttl_s = min(MAX_AGE_S, math.ceil(count_ms / 1000) + _MARGIN_S)
        self._summaries.publish(self._charges_subject, charges, ttl_s)

    async def read(self) -> list[Summary]:
        """All that are there, as they were left; those that can't be read are left out. Raises SummariesUnreadable."""
        return await self._summaries.read(self._subject, lambda raw: read_summary(raw, self._epoch))

    async def read_charges(self) -> list[Charges]:
        """The same for the charges that still count."""
        return await self._summaries.read(self._charges_subject, lambda raw: read_charges(raw, self._epoch))


class Summaries:
    """Those of all streams. Open with ``open_summaries()``."""

    def __init__(self, client: Client, replicas: int) -> None:
        self._client = client
        self._js = client.jetstream(timeout=_PUBLISH_S)
        self._replicas = replicas
        self._waiting: asyncio.Queue[tuple[str, bytes, float]] = asyncio.Queue(_WAITING_MAX)

    def of(self, shard: Shard, stream_id: str) -> StreamSummaries:
        """Those of one stream."""
        return StreamSummaries(self, shard, stream_id)

    def publish(self, subject: str, payload: bytes, ttl_s: float) -> None:
        """Will publish it, if there is room."""
        try:
            self._waiting.put_nowait((subject, payload, ttl_s))
        except asyncio.QueueFull:
            SUMMARIES_LOST.inc()

    async def run(self) -> None:
        """Publishes what is to be published, until cancelled."""
        while True:
            subject, payload, ttl_s = await self._waiting.get()
            try:
                try:
                    await self._js.publish(subject, payload, msg_ttl=ttl_s)
                except NoStreamResponseError:
                    await self._open()
                    await self._js.publish(subject, payload, msg_ttl=ttl_s)
            except (NatsError, TimeoutError, OSError, SettingsError) as error:
                SUMMARIES_LOST.inc()
                log().warning("a summary was lost", subject=subject, error=repr(error))
                await asyncio.sleep(_AGAIN_S)

    async def _open(self) -> None:
        config = StreamConfig(
            name=STREAM,
            subjects=["summaries.*.*", "charges.*.*"],
            storage=StorageType.MEMORY,
            num_replicas=self._replicas,
            discard=DiscardPolicy.OLD,
            max_bytes=_MAX_BYTES,
            max_age=MAX_AGE_S,
            allow_msg_ttl=True,
        )
        await ensure(STREAM, lambda: self._js.stream_info(STREAM), lambda: self._js.add_stream(config))

    async def read(self, subject: str, understand: Callable[[bytes], T | None]) -> list[T]:
        """What ``understand`` makes of each message of a subject, in order; raises SummariesUnreadable."""
        began = time.monotonic()
        while True:
            try:
                return await self._try_to_read(subject, understand)
            except NotFoundError:
                return []
            except ReplayLost as error:
                # In a cluster a consumer that was just made is not known everywhere: one in fifty (503).
                if time.monotonic() - began > _READ_S:
                    raise SummariesUnreadable(str(error)) from error
            except (NatsError, TimeoutError, OSError) as error:
                raise SummariesUnreadable(repr(error)) from error

    async def _try_to_read(self, subject: str, understand: Callable[[bytes], T | None]) -> list[T]:
        understood: list[T] = []

        def take(_delivery: Delivery, message: Msg) -> None:
            found = understand(message.data)
            if found is not None:
                understood.append(found)

        await replay(self._client, STREAM, ConsumerConfig(filter_subject=subject), _READ_S, take)
        return understood


@asynccontextmanager
async def open_summaries(client: Client, replicas: int) -> AsyncIterator[Summaries]:
    """The summaries, for as long as the context is open; those that wait when it closes are lost."""
    summaries = Summaries(client, replicas)
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(summaries.run())
        try:
            yield summaries
        finally:
            writing.cancel()
