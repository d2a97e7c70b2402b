"""Numbered comments on a schedule, as ``load/sse_load.c`` reads them."""

import asyncio
import time
from collections.abc import AsyncIterator

_SENTENCE = "What a goal, I can't believe he made that from there! Replay please, all of you. "
_TICK_S = 0.005
"""What is due within one tick goes together."""

Due = tuple[int, int]
"""A comment's number, and when it is due: CLOCK_MONOTONIC, ns."""


def text(due: Due, size: int) -> str:
    """A text of about ``size`` characters, at least 30, that says which comment it is."""
    number, due_ns = due
    mark = f"@@{number}:{due_ns}; "
    return mark + (_SENTENCE * (size // len(_SENTENCE) + 1))[: max(0, size - len(mark))]


async def schedule(first: int, rate: float, seconds: float) -> AsyncIterator[list[Due]]:
    """Comments ``first``, ``first`` + 1, … at ``rate`` a second, as they fall due; late when the loop is late."""
    began = time.monotonic_ns() + 1_000_000
    gap = 1e9 / rate
    total = round(rate * seconds)
    sent = 0
    while sent < total:
        due_ns = began + sent * gap
        if (wait_s := (due_ns - time.monotonic_ns()) / 1e9) > 0:
            await asyncio.sleep(max(wait_s, _TICK_S) if gap < _TICK_S * 1e9 else wait_s)
        count = min(total, int((time.monotonic_ns() - began) / gap) + 1) - sent
        if count > 0:
            yield [(first + number, int(began + number * gap)) for number in range(sent, sent + count)]
            sent += count
