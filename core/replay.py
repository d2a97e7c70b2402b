"""Reads a stretch of the log to its end, through a consumer that lives as long as that takes.

Not nats-py's ``fetch``: it makes two tasks a message, which takes longer than all the rest, and does not tell a message
that got lost on its way. JetStream numbers a consumer's deliveries without holes, so here a hole is a loss.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig

_PULL_MESSAGES = 500
_PULL_BYTES = 4 * 1024 * 1024
"""What one pull may bring, so what may wait here."""
_TURN_S = 0.002
_PULL_OVER = ("Message Size Exceeds MaxBytes", "Batch Completed")


class ReplayLost(Exception):
    """What was to come did not."""


_SHORT_TOKENS = 9


class Delivery(NamedTuple):
    """What JetStream says of a message that it delivers."""

    seq: int
    """In the log."""
    number: int
    """Of this delivery, from 1."""
    stored_at_ms: int
    """On nats-server's clock, ms since the Unix epoch."""
    pending: int
    """How many are to come."""


Take = Callable[[Delivery, Msg], None]


async def replay(client: Client, stream: str, config: ConsumerConfig, silence_s: float, take: Take) -> None:
    """Gives the messages that ``config`` selects to ``take``, in order, each once, up to the stream's end.

    What ``take`` raises ends the reading and is raised here. Raises ReplayLost when a message was lost on its way or
    nothing came for ``silence_s``, NatsError, TimeoutError, OSError; then part of it may have been given.
    """
    js = client.jetstream(timeout=silence_s)
    config = config.evolve(ack_policy=AckPolicy.NONE, mem_storage=True, num_replicas=1, inactive_threshold=30.0)
    created = await js.add_consumer(stream, config)
    try:
        if created.num_pending:
            await _Replay(client, stream, created.name, take).run(silence_s)
    finally:
        # An error here would take the place of a cancellation; the server forgets the consumer by itself.
        with suppress(NatsError, TimeoutError, OSError):
            await js.delete_consumer(stream, created.name)


class _Replay:
    def __init__(self, client: Client, stream: str, consumer: str, take: Take) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = client.new_inbox()
        self._take = take
        self._delivered = 0
        self._credit = 0
        self._is_over = False
        self._yields_at = 0.0
        self._failure: Exception | None = None
        self._pull_is_over = asyncio.Event()

    async def run(self, silence_s: float) -> None:
        subscription = await self._client.subscribe(self._inbox, cb=self._arrived)
        try:
            while not self._is_over:
                self._pull_is_over.clear()
                if not self._credit:
                    await self._ask(silence_s)
                delivered = self._delivered
                try:
                    async with asyncio.timeout(silence_s):
                        await self._pull_is_over.wait()
                except TimeoutError:
                    if self._delivered == delivered:
                        raise ReplayLost(f"nothing came for {silence_s:.0f} s") from None
        finally:
            self._is_over = True
            with suppress(NatsError, OSError):
                await subscription.unsubscribe()
        if self._failure is not None:
            raise self._failure

    async def _ask(self, expires_s: float) -> None:
        self._credit = _PULL_MESSAGES
        request = {
            "batch": _PULL_MESSAGES,
            # A message that is larger than all of a pull would never come.
            "max_bytes": max(_PULL_BYTES, 2 * self._client.max_payload),
            "expires": int(expires_s * 1e9),
        }
        await self._client.publish(self._subject, json.dumps(request).encode(), self._inbox)

    async def _arrived(self, message: Msg) -> None:
        if self._is_over:
            return
        try:
            if message.reply:
                self._deliver(message)
            else:
                self._heed(message.headers or {})
        except Exception as failure:
            # Of ``take``, too: nats-py would only report it.
            self._failure = failure
            self._is_over = True
        if self._is_over or not self._credit:
            self._pull_is_over.set()
        # All that one pull brings takes many milliseconds: the other streams must not wait for all of it.
        if time.monotonic() >= self._yields_at:
            await asyncio.sleep(0)
            self._yields_at = time.monotonic() + _TURN_S

    def _deliver(self, message: Msg) -> None:
        delivery = _read_reply(message.reply)
        self._delivered += 1
        if delivery.number != self._delivered:
            raise ReplayLost(f"delivery {self._delivered} did not arrive")
        self._credit -= 1
        self._take(delivery, message)
        self._is_over = delivery.pending == 0

    def _heed(self, headers: Mapping[str, str]) -> None:
        """A status of the pull (nats ADR-13)."""
        description = headers.get("Description", "").strip()
        if description not in _PULL_OVER:
            raise ReplayLost(f"{headers.get('Status')} {description}")
        self._credit = 0


def _read_reply(reply: str) -> Delivery:
    """What the subject for a message's acknowledgement says (nats ADR-15): $JS.ACK.[<domain>.<account>.]<stream>.
    <consumer>.<how often>.<seq>.<delivery>.<time>.<pending>[.<token>].

    nats-py's own reading of it makes a date of the time, which took 5 µs of the 30 that a message takes.
    """
    tokens = reply.split(".")
    first = 5 if len(tokens) == _SHORT_TOKENS else 7
    seq, number, stored_ns, pending = map(int, tokens[first : first + 4])
    return Delivery(seq, number, stored_ns // 1_000_000, pending)
