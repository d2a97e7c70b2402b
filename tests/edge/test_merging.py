"""Identical reads under way at one edge become one."""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from edge.merging import Merger
from livecomments.errors import Reason, Refusal

pytestmark = pytest.mark.anyio


class Source:
    """What is read; answers when it is let."""

    def __init__(self) -> None:
        self.reads = 0
        self.cancelled = 0
        self.refusal: Refusal | None = None
        self.answers = trio.Event()

    async def read(self) -> str:
        self.reads += 1
        number = self.reads
        try:
            await self.answers.wait()
        except trio.Cancelled:
            self.cancelled += 1
            raise
        if self.refusal is not None:
            raise self.refusal
        return f"answer {number}"


class Caller:
    """One who asks, and can go away."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.got: list[str | Refusal] = []

    async def ask(self, merger: Merger[str], source: Source, key: str = "k") -> None:
        with self.scope:
            try:
                self.got.append(await merger.share(key, source.read))
            except Refusal as refusal:
                self.got.append(refusal)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def nursery() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()


async def asking(nursery: trio.Nursery, merger: Merger[str], source: Source, keys: str) -> list[Caller]:
    callers = [Caller() for _ in keys]
    for caller, key in zip(callers, keys, strict=True):
        nursery.start_soon(caller.ask, merger, source, key)
    await wait_all_tasks_blocked()
    return callers


async def test_who_asks_for_the_same_at_a_time_shares_one_read(nursery: trio.Nursery, source: Source) -> None:
    merger = Merger[str](nursery)
    callers = await asking(nursery, merger, source, "aaab")
    assert source.reads == 2
    source.answers.set()
    await wait_all_tasks_blocked()
    of_a, of_b = callers[0].got, callers[3].got
    assert [caller.got for caller in callers] == [of_a, of_a, of_a, of_b]
    assert {*of_a, *of_b} == {"answer 1", "answer 2"}
    assert await merger.share("a", source.read) == "answer 3", "no answer is kept"


async def test_a_refusal_reaches_everyone_who_waits_each_with_its_own(nursery: trio.Nursery, source: Source) -> None:
    merger = Merger[str](nursery)
    source.refusal = Refusal(Reason.OVERLOADED, "away", retry_after_ms=1_000)
    callers = await asking(nursery, merger, source, "aaa")
    source.answers.set()
    await wait_all_tasks_blocked()
    refusals = [caller.got[0] for caller in callers]
    assert [str(refusal) for refusal in refusals] == ["OVERLOADED: away"] * 3
    assert len({id(refusal) for refusal in refusals}) == 3


async def test_who_goes_away_leaves_the_others_their_answer(nursery: trio.Nursery, source: Source) -> None:
    callers = await asking(nursery, Merger[str](nursery), source, "aaa")
    callers[0].scope.cancel()
    await wait_all_tasks_blocked()
    source.answers.set()
    await wait_all_tasks_blocked()
    assert [caller.got for caller in callers] == [[], ["answer 1"], ["answer 1"]]
    assert source.cancelled == 0


async def test_with_the_last_who_waits_the_read_goes_and_who_comes_then_reads_anew(
    nursery: trio.Nursery, source: Source
) -> None:
    merger = Merger[str](nursery)
    callers = await asking(nursery, merger, source, "aa")
    for caller in callers:
        caller.scope.cancel()
    await wait_all_tasks_blocked()
    assert source.cancelled == 1
    (late,) = await asking(nursery, merger, source, "a")
    source.answers.set()
    await wait_all_tasks_blocked()
    assert late.got == ["answer 2"]


async def test_nobody_waits_for_ever_when_the_edge_ends(nursery: trio.Nursery, source: Source) -> None:
    async with trio.open_nursery() as reads:
        (caller,) = await asking(nursery, Merger[str](reads), source, "a")
        reads.cancel_scope.cancel()
    await wait_all_tasks_blocked()
    (refusal,) = caller.got
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.DRAINING
