"""The topics that are open here: each from its first subscriber until some time after its last."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fanout import metrics
from fanout.background import background
from fanout.topic import Topic
from livecomments.errors import Reason, Refusal
from livecomments.stream_ids import check_stream_id
from livecomments.telemetry import log

OPEN_S = 5.0
"""How long a join waits for a topic's beginning."""

MakeTopic = Callable[[str], Awaitable[Topic]]
"""Makes the topic of a stream, which is not running yet; raises Refusal where it is known that there is no such one."""


@dataclass(eq=False)
class _Lease:
    topic: Topic
    users: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False


class Topics:
    """Opens topics on demand; their tasks belong to ``tasks``, whose end is the topics' end."""

    def __init__(self, make: MakeTopic, *, linger_s: float, tasks: asyncio.TaskGroup) -> None:
        self._make = make
        self._linger_s = linger_s
        self._tasks = tasks
        self._leases: dict[str, _Lease] = {}

    @asynccontextmanager
    async def lease(self, stream_id: str) -> AsyncIterator[Topic]:
        """The opened topic, kept for as long as the context is open.

        Raises Refusal: INVALID_FIELD, STREAM_NOT_FOUND, or OVERLOADED when it has no beginning within OPEN_S.
        """
        check_stream_id(stream_id)
        lease = self._leases.get(stream_id)
        if lease is None:
            made = await self._make(stream_id)
            # Another may have come meanwhile.
            lease = self._leases.get(stream_id) or self._open(made)
        lease.users += 1
        lease.changed.set()
        try:
            try:
                async with asyncio.timeout(OPEN_S):
                    await lease.topic.opened.wait()
            except TimeoutError:
                raise Refusal(Reason.OVERLOADED, "the feed has no beginning yet", retry_after_ms=1_000) from None
            if lease.topic.refusal is not None:
                raise lease.topic.refusal
            yield lease.topic
        finally:
            lease.users -= 1
            lease.changed.set()

    def ask_all(self) -> None:
        """Has every topic look for what it missed; for after a reconnect."""
        for lease in self._leases.values():
            lease.topic.ask()

    def degrade(self, degraded: bool) -> None:
        """Every topic is cut off from where it comes from, or not any more."""
        for lease in self._leases.values():
            lease.topic.degrade(degraded)

    def known(self, stream_id: str) -> Topic | None:
        """The topic, if it is open here."""
        lease = self._leases.get(stream_id)
        if lease is None or not lease.topic.opened.is_set() or lease.topic.refusal is not None:
            return None
        return lease.topic

    def end_all(self) -> None:
        """Ends every topic; those who want one open it anew."""
        for lease in list(self._leases.values()):
            self._end(lease)

    def _open(self, topic: Topic) -> _Lease:
        lease = self._leases[topic.stream_id] = _Lease(topic)
        self._tasks.create_task(self._keep(lease))
        return lease

    async def _keep(self, lease: _Lease) -> None:
        metrics.topics.inc()
        try:
            async with background() as tasks:
                running = tasks.create_task(lease.topic.run())
                running.add_done_callback(lambda _: self._end(lease))
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
