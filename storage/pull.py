"""The durable consumer ``storage`` of a shard: its messages in the log's order, none left out.

Not nats-py's ``fetch``: that can't bound a pull by bytes, nor tell a message that got lost on its way (a reconnect)
from one that was deleted. JetStream numbers a consumer's deliveries without holes, so here a hole is a loss.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from storage.batches import LogMessage

CONSUMER = "storage"

BATCH_BYTES = 4 * 1024 * 1024
"""What is written at once, and one message more: about 20,000 comments. It is what has gathered during the last write,
so a slow disk makes large transactions, and pays for its syncs less often.
"""
_PULL_MESSAGES = 500
_PULL_BYTES = BATCH_BYTES
"""What one pull may bring; nearly as much may wait beside it, and be written. Core's batches are at most 256 KiB."""
_PULL_S = 30.0
_HEARTBEAT_S = 1.0
_SILENCE_S = 3.0
"""After so long without message or heartbeat the pull is dead: the server is gone, or forgot it in a restart."""
ACK_WAIT_S = 60.0
"""Longer than a write may take. What is redelivered then is dropped here: it was given out before."""

_PULL_OVER = ("Message Size Exceeds MaxBytes", "Batch Completed")


class PullLost(Exception):
    """The pull is over, or a delivery was lost on its way: take the place anew."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message of the log as it was delivered."""

    message: LogMessage
    stored_at_s: float
    """When the log stored it, seconds since the Unix epoch."""
    pending: int
    """How many messages of the log followed it at that time."""
    reply: str
    """Where its acknowledgement goes: it covers all before it too."""


async def stand_behind(js: JetStreamContext, stream: str, after_seq: int) -> int:
    """Makes the consumer's next delivery the first message behind ``after_seq``; returns its number of the last one.

    A consumer that stands elsewhere (messages under way when the last writer died; a database that came back older)
    is made anew, as the redelivery of what is under way would come late and out of order.
    """
    try:
        known = await js.consumer_info(stream, CONSUMER)
    except NotFoundError:
        pass  # the first writer of this shard
    else:
        if known.delivered is not None and known.delivered.stream_seq == after_seq:
            delivered: int = known.delivered.consumer_seq
            return delivered
        await js.delete_consumer(stream, CONSUMER)
    await js.add_consumer(
        stream,
        ConsumerConfig(
            durable_name=CONSUMER,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after_seq + 1,
            ack_policy=AckPolicy.ALL,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=4 * _PULL_MESSAGES,
        ),
    )
    return 0


class Pull:
    """Messages of the consumer as they come, one pull ahead of who takes them. Open one with ``open_pull``."""

    def __init__(self, client: Client, stream: str, inbox: str, after_seq: int, delivered: int) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{CONSUMER}"
        self.inbox = inbox
        """Where JetStream sends what is pulled, and how the pull fares."""
        self._seq = after_seq
        self._delivered = delivered
        self._credit = 0
        # Bounded: asked for more only while less than a batch waits.
        self._waiting: deque[Delivery] = deque()
        self._waiting_bytes = 0
        self._lost: PullLost | None = None
        self._heard = asyncio.Event()

    async def arrived(self, message: Msg) -> None:
        """Called with all that comes to ``inbox``."""
        try:
            if message.reply.startswith("$JS.ACK."):
                self._take(message)
            else:
                self._heed(message.headers or {})
        except PullLost as lost:
            self._lost = self._lost or lost
        self._heard.set()
        await self._ask()

    async def next(self) -> list[Delivery]:
        """What has arrived, at least one message, at most about BATCH_BYTES, without waiting for more.

        In the log's order, each message once: what JetStream delivers again was given out before. Raises PullLost,
        after all that arrived before the loss; under cancellation what was taken is redelivered to the next pull.
        """
        while not self._waiting:
            if self._lost is not None:
                raise self._lost
            await self._ask()
            self._heard.clear()
            try:
                async with asyncio.timeout(_SILENCE_S):
                    await self._heard.wait()
            except TimeoutError:
                raise PullLost("neither message nor heartbeat") from None
        taken: list[Delivery] = []
        size = 0
        while self._waiting and size < BATCH_BYTES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1].message.data)
        self._waiting_bytes -= size
        # Before these are written: the next ones are on their way meanwhile.
        await self._ask()
        return taken

    async def _ask(self) -> None:
        if self._credit or self._lost or len(self._waiting) >= _PULL_MESSAGES or self._waiting_bytes >= BATCH_BYTES:
            return
        request = {
            "batch": _PULL_MESSAGES,
            # A message that is larger than all of a pull would never come.
            "max_bytes": max(_PULL_BYTES, 2 * self._client.max_payload),
            "expires": int(_PULL_S * 1e9),
            "idle_heartbeat": int(_HEARTBEAT_S * 1e9),
        }
        self._credit = _PULL_MESSAGES
        await self._client.publish(self._subject, json.dumps(request).encode(), self.inbox)

    def _take(self, message: Msg) -> None:
        meta = message.metadata
        self._delivered += 1
        if meta.sequence.consumer != self._delivered:
            raise PullLost(f"delivery {self._delivered} did not arrive")
        self._credit -= 1
        if meta.sequence.stream <= self._seq:
            return  # again, as it was not acknowledged in time
        self._seq = meta.sequence.stream
        stream_id = message.subject.rsplit(".", 1)[1]
        self._waiting.append(
            Delivery(
                LogMessage(stream_id, meta.sequence.stream, message.data),
                meta.timestamp.timestamp(),
                meta.num_pending,
                message.reply,
            )
        )
        self._waiting_bytes += len(message.data)

    def _heed(self, headers: Mapping[str, str]) -> None:
        """A status of the pull (nats ADR-9 and ADR-13)."""
        status, description = headers.get("Status"), headers.get("Description", "")
        if status == "100":
            if int(headers.get("Nats-Last-Consumer", 0)) > self._delivered:
                raise PullLost(f"delivery {self._delivered + 1} did not arrive")
        elif status in ("404", "408") or description in _PULL_OVER:
            self._credit = 0
        else:
            raise PullLost(f"{status} {description.strip()}")


@asynccontextmanager
async def open_pull(client: Client, stream: str, after_seq: int, delivered: int) -> AsyncIterator[Pull]:
    """Pulls what stands behind ``after_seq`` from the consumer; ``delivered``: its last delivery."""
    pull = Pull(client, stream, client.new_inbox(), after_seq, delivered)
    subscription = await client.subscribe(pull.inbox, cb=pull.arrived)
    try:
        yield pull
    finally:
        if not client.is_closed:
            await subscription.unsubscribe()
