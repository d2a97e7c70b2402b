"""Waiting for a condition, with a deadline."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.processes import PATIENCE_S

T = TypeVar("T")


async def until(find: Callable[[], Awaitable[T | None]], what: str, timeout_s: float = PATIENCE_S) -> T:
    """The first truthy value that ``find`` gives; fails after the deadline, naming what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not (found := await find()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.01)
    return found


async def until_set(event: threading.Event, what: str) -> None:
    """Waits until a thread has set it."""

    async def is_set() -> bool:
        return event.is_set()

    await until(is_set, what)
