"""Whose turn it is: of several storages one writes a shard, the others stand by.

Whoever writes answers on a NATS subject. Nothing but the work is at stake: two that write at once (one was frozen,
and wakes up) hinder each other until one steps back, but the store takes each message once from whomever it comes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from livecomments.telemetry import log

_ASK_EVERY_S = 1.0
_ANSWER_S = 2.0
SILENT_S = 5.0
"""A writer that answers nothing for so long is frozen, or cut off: its turn is over."""


def _subject(shard: int) -> str:
    return f"storage.{shard}.writer"


async def until_nobody_writes(client: Client, shard: int, stands_by: Callable[[], None]) -> None:
    """Returns at once when no storage writes this shard, else about a second after the one that does has ended, or
    SILENT_S after it fell silent; ``stands_by`` is called once, when another one has answered.
    """
    waits = False
    heard_at = time.monotonic()
    while True:
        try:
            await client.request(_subject(shard), timeout=_ANSWER_S)
        except NoRespondersError:
            return
        except TimeoutError:
            if not client.is_connected:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > SILENT_S:
                log().warning("the storage that writes this shard has fallen silent", shard=shard)
                return
            continue
        heard_at = time.monotonic()
        if not waits:
            waits = True
            stands_by()
            log().info("another storage writes this shard: standing by", shard=shard)
        await asyncio.sleep(_ASK_EVERY_S)


@asynccontextmanager
async def writing(client: Client, shard: int) -> AsyncIterator[None]:
    """Tells all who ask that this storage writes the shard, for as long as the context is open."""

    async def answer(question: Msg) -> None:
        await question.respond(b"")

    subscription = await client.subscribe(_subject(shard), cb=answer)
    try:
        yield
    finally:
        if not client.is_closed:
            await subscription.unsubscribe()
