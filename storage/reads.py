"""What the store is asked: counted, bounded in time, and its failure a Refusal."""

import asyncio
import random
from collections.abc import Awaitable
from typing import TypeVar

from livecomments.errors import Reason, Refusal
from storage import metrics
from storage.store import StoreUnavailable

T = TypeVar("T")

READ_S = 2.0
"""How long the database may take for one read, the wait for its turn included."""


async def from_store(method: str, read: Awaitable[T], timeout_s: float = READ_S) -> T:
    """What the store answers to a read that a call of ``method`` needs.

    Raises Refusal(OVERLOADED) when the store does, or has not answered after ``timeout_s``: the read is cancelled then.
    """
    metrics.STORE_READS.labels(method).inc()
    try:
        async with asyncio.timeout(timeout_s):
            return await read
    except (StoreUnavailable, TimeoutError) as error:
        raise Refusal(Reason.OVERLOADED, "the database does not answer", retry_after_ms=jittered_ms()) from error


def jittered_ms() -> int:
    """When to try again: those who were refused together shall not come back together."""
    return random.randint(500, 1_500)
