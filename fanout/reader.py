"""Reads of the log. JetStream's direct get takes many messages in one request (ADR-31, "batch"), from any replica.

A replica may be behind: that it has nothing proves nothing. The leader's word (``last``, ``next_from_leader``,
``shard_state``) is final.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from fanout.messages import LogMessage
from livecomments.log import Shard

PAGE_MESSAGES = 256
PAGE_BYTES = 1024 * 1024
REQUEST_S = 2.0
"""Deadline of one request."""
_PAUSE_S = 0.02
_REPLICA_S = 0.8
"""How long followers were seen to be behind after a leader was killed."""
_AT_ONCE = 32
"""Reads under way in this process: after a reconnect all topics ask at the same time."""


class LogUnavailable(Exception):
    """The log did not answer, or not in full. Trying again may help."""


@dataclass(frozen=True, slots=True)
class Page:
    """A run of a subject's messages without a gap, oldest first."""

    messages: list[LogMessage]
    pending: int
    """How many more the replica holds after them; the leader does not say."""
    from_leader: bool = False


@dataclass(frozen=True, slots=True)
class ShardState:
    """First and last sequence that a shard holds; when it is empty, ``first`` is one above ``last``."""

    first: int
    last: int


class LogReader:
    """Reads a connection's log. Every method raises LogUnavailable, within a few times REQUEST_S.

    Open one with ``open_reader()``.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._js = client.jetstream(timeout=REQUEST_S)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._requests = count()
        self._answers: dict[str, _Answer] = {}
        self.inbox = client.new_inbox()
        """Where answers come: one subscription for all requests, each with a last token of its own."""

    async def heard(self, reply: Msg) -> None:
        """Takes a part of an answer; one that nobody waits for any more is dropped."""
        if (answer := self._answers.get(reply.subject)) is not None:
            answer.take(reply)

    async def after(self, shard: Shard, stream_id: str, seq: int, max_messages: int = PAGE_MESSAGES) -> Page:
        """What some replica holds of the subject after ``seq``: at most ``max_messages`` and about PAGE_BYTES."""
        return await self._page(shard, stream_id, {"seq": seq + 1, "batch": max_messages})

    async def known_after(self, shard: Shard, stream_id: str, seq: int) -> Page:
        """What follows ``seq``, where something is known to follow: a replica that has nothing is behind, so it is
        asked again, for _REPLICA_S at most, and then the leader. Empty when the leader has nothing either: it was
        purged.
        """
        pause_s = _PAUSE_S
        while pause_s < _REPLICA_S:
            page = await self.after(shard, stream_id, seq)
            if page.messages:
                return page
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s *= 2
        return await self.leader_after(shard, stream_id, seq)

    async def leader_after(self, shard: Shard, stream_id: str, seq: int) -> Page:
        """What the leader holds of the subject after ``seq``: at most PAGE_MESSAGES and about PAGE_BYTES. It gives one
        message a request, so this is the slow way.
        """
        messages: list[LogMessage] = []
        size = 0
        while len(messages) < PAGE_MESSAGES and size < PAGE_BYTES:
            after = messages[-1].seq if messages else seq
            try:
                message = await self.next_from_leader(shard, stream_id, after)
            except LogUnavailable:
                if not messages:
                    raise
                break
            if message is None:
                break
            messages.append(message)
            size += len(message.encoded)
        return Page(messages, 0, from_leader=True)

    async def since(self, shard: Shard, stream_id: str, unix_s: float) -> Page:
        """The first message of the subject that was stored at or after a time, if there is one."""
        start = datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return await self._page(shard, stream_id, {"start_time": start, "batch": 1})

    async def last(self, shard: Shard, stream_id: str) -> LogMessage | None:
        """The subject's last message, as the leader knows it; None when the log holds none."""
        return await self._from_leader(self._js.get_last_msg(shard.name, shard.subject(stream_id), direct=False))

    async def next_from_leader(self, shard: Shard, stream_id: str, seq: int) -> LogMessage | None:
        """The subject's first message after ``seq``, as the leader knows it; None when there is none."""
        subject = shard.subject(stream_id)
        return await self._from_leader(
            self._js.get_msg(shard.name, seq=seq + 1, subject=subject, direct=False, next=True)
        )

    async def shard_state(self, shard: Shard) -> ShardState:
        """What the shard holds, as the leader knows it."""
        try:
            async with self._slots:
                state = (await self._js.stream_info(shard.name)).state
        except (NatsError, TimeoutError) as error:
            raise LogUnavailable(repr(error)) from error
        return ShardState(state.first_seq, state.last_seq)

    async def _from_leader(self, request: Awaitable[RawStreamMsg]) -> LogMessage | None:
        try:
            async with self._slots:
                found = await request
        except NotFoundError:
            return None
        except (NatsError, TimeoutError) as error:
            raise LogUnavailable(repr(error)) from error
        if found.seq is None:
            raise LogUnavailable("the leader's answer names no sequence")
        return LogMessage.decode(found.seq, found.data or b"")

    async def _page(self, shard: Shard, stream_id: str, start: Mapping[str, object]) -> Page:
        request = {**start, "next_by_subj": shard.subject(stream_id), "max_bytes": PAGE_BYTES}
        answer = _Answer()
        inbox = f"{self.inbox}.{next(self._requests)}"
        self._answers[inbox] = answer
        try:
            async with self._slots, asyncio.timeout(REQUEST_S):
                await self._client.publish(
                    f"$JS.API.DIRECT.GET.{shard.name}", json.dumps(request).encode(), reply=inbox
                )
                return await answer.page
        except (NatsError, TimeoutError) as error:
            raise LogUnavailable(repr(error)) from error
        finally:
            del self._answers[inbox]


class _Answer:
    """Collects the messages of one batch until its end marker."""

    def __init__(self) -> None:
        self.page: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self._messages: list[LogMessage] = []

    def take(self, reply: Msg) -> None:
        if self.page.done():
            return
        headers = reply.headers or {}
        match headers.get("Status"):
            case None:
                self._add(int(headers["Nats-Sequence"]), int(headers["Nats-Last-Sequence"]), reply.data)
            case "204":
                self.page.set_result(Page(self._messages, int(headers["Nats-Num-Pending"])))
            case "404":
                self.page.set_result(Page([], 0))
            case status:
                self.page.set_exception(LogUnavailable(f"direct get: {status} {headers.get('Description')}"))

    def _add(self, seq: int, previous: int, data: bytes) -> None:
        # The first of a batch names no predecessor. A reply that was lost on the way must not become a gap.
        if self._messages and previous != self._messages[-1].seq:
            self.page.set_exception(LogUnavailable("a part of the answer was lost"))
            return
        self._messages.append(LogMessage.decode(seq, data))


@asynccontextmanager
async def open_reader(client: Client) -> AsyncIterator[LogReader]:
    """A reader for as long as the context is open."""
    reader = LogReader(client)
    subscription = await client.subscribe(f"{reader.inbox}.*", cb=reader.heard)
    try:
        yield reader
    finally:
        if not client.is_closed:
            await subscription.unsubscribe()
