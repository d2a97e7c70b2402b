"""Identical reads in flight become one."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.coalesce import Coalescer

pytestmark = pytest.mark.anyio


class Source:
    """Answers when told to, and counts how often it was read."""

    def __init__(self) -> None:
        self.reads = 0
        self.cancelled = 0
        self.started = asyncio.Event()
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def read(self) -> str:
        self.reads += 1
        self.started.set()
        try:
            return await asyncio.shield(self.answer)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def settle() -> None:
    """Lets every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def source() -> Source:
    return Source()


async def test_calls_with_one_key_share_one_read_and_its_answer(source: Source) -> None:
    merged = []
    async with asyncio.TaskGroup() as tasks:
        coalescer = Coalescer[str](tasks, lambda: merged.append(1))
        calls = [tasks.create_task(coalescer.read("k", source.read)) for _ in range(5)]
        await source.started.wait()
        source.answer.set_result("v")
    assert [call.result() for call in calls] == ["v"] * 5
    assert source.reads == 1
    assert len(merged) == 4


async def test_other_keys_and_later_calls_read_anew(source: Source) -> None:
    source.answer.set_result("v")
    async with asyncio.TaskGroup() as tasks:
        coalescer = Coalescer[str](tasks, lambda: None)
        await asyncio.gather(coalescer.read("a", source.read), coalescer.read("b", source.read))
        await coalescer.read("a", source.read)
    assert source.reads == 3


async def test_a_failure_reaches_everyone_who_waits_and_nobody_else(source: Source) -> None:
    async with asyncio.TaskGroup() as tasks:
        coalescer = Coalescer[str](tasks, lambda: None)
        calls = [asyncio.ensure_future(coalescer.read("k", source.read)) for _ in range(3)]
        await source.started.wait()
        source.answer.set_exception(OSError("disk"))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [OSError] * 3
        source.answer = asyncio.get_running_loop().create_future()
        source.answer.set_result("v")
        assert await coalescer.read("k", source.read) == "v"


async def test_cancelling_one_call_leaves_the_others_their_answer(source: Source) -> None:
    async with asyncio.TaskGroup() as tasks:
        coalescer = Coalescer[str](tasks, lambda: None)
        first, second, third = (tasks.create_task(coalescer.read("k", source.read)) for _ in range(3))
        await source.started.wait()
        first.cancel()
        third.cancel()
        await settle()
        source.answer.set_result("v")
        assert await second == "v"
    assert first.cancelled()
    assert third.cancelled()
    assert (source.reads, source.cancelled) == (1, 0)


async def test_when_the_last_call_is_cancelled_so_is_the_read_and_the_next_call_reads_anew(source: Source) -> None:
    noticed, let_go = asyncio.Event(), asyncio.Event()

    async def slow_to_end() -> str:
        try:
            return await source.read()
        except asyncio.CancelledError:
            noticed.set()
            await let_go.wait()
            raise

    async with asyncio.TaskGroup() as tasks:
        coalescer = Coalescer[str](tasks, lambda: None)
        calls = [tasks.create_task(coalescer.read("k", slow_to_end)) for _ in range(2)]
        await source.started.wait()
        for call in calls:
            call.cancel()
        await noticed.wait()
        again = tasks.create_task(coalescer.read("k", source.read))
        await settle()
        let_go.set()
        await settle()
        source.answer.set_result("v")
        assert await again == "v"
    assert (source.reads, source.cancelled) == (2, 1)


async def test_nobody_waits_for_ever_when_the_owner_of_the_reads_ends(source: Source) -> None:
    async def own_the_reads() -> None:
        async with asyncio.TaskGroup() as tasks:
            coalescers.set_result(Coalescer[str](tasks, lambda: None))
            await asyncio.Event().wait()

    coalescers: asyncio.Future[Coalescer[str]] = asyncio.get_running_loop().create_future()
    owner = asyncio.ensure_future(own_the_reads())
    waiting = asyncio.ensure_future((await coalescers).read("k", source.read))
    await source.started.wait()
    owner.cancel()
    await asyncio.wait([waiting, owner], timeout=5)
    assert waiting.cancelled()
    assert owner.cancelled()


class Library:
    """Reads of several keys that can be let finish in any order; each answer is its own."""

    def __init__(self) -> None:
        self.under_way: dict[str, asyncio.Future[int]] = {}
        self.reads = 0

    async def read(self, key: str) -> int:
        assert key not in self.under_way, "two reads of one key at a time"
        self.reads += 1
        number = self.reads
        self.under_way[key] = asyncio.get_running_loop().create_future()
        try:
            await self.under_way[key]
        finally:
            del self.under_way[key]
        return number


moves = st.lists(
    st.tuples(st.sampled_from(["call", "call", "cancel", "finish"]), st.sampled_from("ab"), st.integers(0, 9)),
    max_size=30,
)


@given(moves)
@settings(deadline=None)
async def test_in_any_order_of_calls_cancellations_and_answers_everyone_gets_the_read_it_waited_for(
    steps: list[tuple[str, str, int]],
) -> None:
    library = Library()
    expected: dict[asyncio.Task[int], int] = {}
    """Each call, and the number of the read that it joined or began."""
    cancelled: set[asyncio.Task[int]] = set()
    async with asyncio.TaskGroup() as tasks:
        coalescer = Coalescer[int](tasks, lambda: None)
        numbers = dict.fromkeys("ab", 0)
        for move, key, index in [*steps, ("finish", "a", 0), ("finish", "b", 0)]:
            if move == "call":
                if key not in library.under_way:
                    numbers[key] = library.reads + 1
                call = asyncio.ensure_future(coalescer.read(key, lambda key=key: library.read(key)))
                expected[call] = numbers[key]
            elif move == "finish" and key in library.under_way:
                library.under_way[key].set_result(0)
            elif move == "cancel" and len(expected) > index and not (call := list(expected)[index]).done():
                cancelled.add(call)
                call.cancel()
            await settle()
        await asyncio.gather(*expected, return_exceptions=True)
    assert {call for call in expected if call.cancelled()} == cancelled
    assert all(call.result() == number for call, number in expected.items() if call not in cancelled)
