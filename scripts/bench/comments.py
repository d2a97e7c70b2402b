"""Numbered comments on a schedule, as ``load/sse_load.c`` reads them."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

_WORDS = """a again all almost already always and another away back ball bad because before best better between big blue
    bring but by call can't captain chance clean close come corner could couldn't crowd defence didn't do don't down
    easily enough even ever every far fast feel first for from full game get give goal good great had half hard have he
    head here his hold home hope how I if in into is it just keep keeper kick know last late lead league left let like
    line long look lost luck made make man match maybe me mean minute miss more move much must my net never new next
    nice no not now of off offside old on once one only open or other our out over pass penalty perfect place play
    player please point post press quick rain ready really red ref replay right run same saw say score season see shot
    should side slow so some soon spot stand start still stop strike strong such sure take team tell than that the
    their them then there they thing think this time to today too top touch tough turn two under unlucky up us wait
    want was watch way we well were what when where which who why wide will win wing with won't world would wow wrong
    year yes yet you young"""
_TALK = " ".join(random.Random(4711).choices(_WORDS.split(), k=20_000))
"""Of which each comment says another part: a compressor is not to see the same sentence again and again."""
_TICK_S = 0.005
"""What is due within one tick goes together."""

Due = tuple[int, int]
"""A comment's number, and when it is due: CLOCK_MONOTONIC, ns."""


def text(due: Due, size: int) -> str:
    """A text of about ``size`` characters, at least 30, that says which comment it is."""
    number, due_ns = due
    mark = f"@@{number}:{due_ns}; "
    at = number * 7919 % (len(_TALK) - size)
    return mark + _TALK[at : at + max(0, size - len(mark))]


def author(due: Due) -> str:
    """Who wrote it, one of a thousand."""
    return f"viewer-{due[0] * 7919 % 1000}"


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
