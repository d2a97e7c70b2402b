"""The topics that are open here: each from its first subscriber until some time after its last."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fanout import metrics
from fanout.background import background
from fanout.presence import Presence
from fanout.topic import Topic
from livecomments.errors import Reason, Refusal
from livecomments.log import Log, Shard
from livecomments.registry import StreamDirectory
from livecomments.stream_ids import check_stream_id
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import Stream

OPEN_S = 5.0
"""How long a join waits for a topic's beginning."""

MakeTopic = Callable[[Shard, Stream], Topic]


@dataclass(eq=False)
class _Lease:
    topic: Topic
    users: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False


class Topics:
    """Opens topics on demand; their tasks belong to ``tasks``, whose end is the topics' end."""

    def __init__(
        self,
        make: MakeTopic,
        directory: StreamDirectory,
        stored: Log,
        *,
        presence: Presence,
        linger_s: float,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._make = make
        self._directory = directory
        self._log = stored
        self._presence = presence
        self._linger_s = linger_s
        self._tasks = tasks
        self._leases: dict[str, _Lease] = {}

    @property
    def log(self) -> Log:
        return self._log

    @asynccontextmanager
    async def lease(self, stream_id: str) -> AsyncIterator[Topic]:
        """The opened topic, kept for as long as the context is open.

        Raises Refusal: INVALID_FIELD, STREAM_NOT_FOUND, or OVERLOADED when the log gave it no beginning within
        OPEN_S.
        """
        check_stream_id(stream_id)
        registered = await self._directory.find(stream_id)
        lease = self._leases.get(stream_id)
        if lease is None:
            lease = _Lease(self._make(self._log.shard_of(stream_id), registered))
            self._leases[stream_id] = lease
            self._tasks.create_task(self._keep(lease))
        lease.users += 1
        lease.changed.set()
        try:
            try:
                async with asyncio.timeout(OPEN_S):
                    await lease.topic.opened.wait()
            except TimeoutError:
                raise Refusal(Reason.OVERLOADED, "the log does not answer", retry_after_ms=1_000) from None
            yield lease.topic
        finally:
            lease.users -= 1
            lease.changed.set()

    def ask_all(self) -> None:
        """Has every topic look for what it missed; for after a reconnect."""
        for lease in self._leases.values():
            lease.topic.ask()

    def begin_anew(self, stored: Log) -> None:
        """Ends every topic: the log is another one now, and no cursor of the old one means anything in it."""
        self._log = stored
        for lease in list(self._leases.values()):
            self._end(lease)

    async def _keep(self, lease: _Lease) -> None:
        metrics.topics.inc()
        try:
            async with background() as tasks:
                tasks.create_task(self._presence.follow(lease.topic))
                tasks.create_task(lease.topic.run())
                await self._until_unused(lease)
        except* Exception as group:
            log().error("a topic failed", stream=lease.topic.stream_id, exc_info=group)
        finally:
            metrics.topics.dec()
            self._end(lease)

    async def _until_unused(self, lease: _Lease) -> None:
        """Returns when nobody has used the topic for the linger time; from then on nobody can."""
        while not lease.ended:
            lease.changed.clear()
            try:
                async with asyncio.timeout(None if lease.users else self._linger_s):
                    await lease.changed.wait()
            except TimeoutError:
                self._end(lease)

    def _end(self, lease: _Lease) -> None:
        lease.ended = True
        lease.changed.set()
        if self._leases.get(lease.topic.stream_id) is lease:
            del self._leases[lease.topic.stream_id]
        lease.topic.close(Refusal(Reason.OVERLOADED, "the feed was interrupted", retry_after_ms=500))
