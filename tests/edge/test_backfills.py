"""Older parts of the log are read once for all who come back from the same place."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from edge.backfills import KEEP_S, Backfills
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal
from livecomments.v1 import feed_service_pb2 as feed
from tests.edge.test_sse import posted

CURSOR = Cursor("ab", 5)


class Log(Backfills):
    """Answers for fanout, when it is let; counts how often it was asked."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__(nursery, (), 100)
        self.reads = 0
        self.last = 8
        self.refusal: Refusal | None = None
        self.may_answer = trio.Event()

    async def read(self, stream_id: str, cursor: Cursor, through: int) -> list[feed.FeedMessage]:  # noqa: ARG002
        self.reads += 1
        await self.may_answer.wait()
        if self.refusal is not None:
            raise self.refusal
        return [posted(seq, f"t{seq}") for seq in range(cursor.seq + 1, self.last + 1)]


def with_log(test: Callable[[Log], Awaitable[None]]) -> None:
    async def run() -> None:
        async with trio.open_nursery() as nursery:
            await test(Log(nursery))
            nursery.cancel_scope.cancel()

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


async def ask(log: Log, results: list[object], cursor: Cursor = CURSOR, *, floor: int = 7, known: int = 8) -> None:
    try:
        results.append([message.seq for message in await log.share("s", cursor, floor=floor, known=known)])
    except Refusal as refusal:
        results.append(refusal.reason)


def test_fifty_at_once_are_served_by_one_read() -> None:
    async def test(log: Log) -> None:
        results: list[object] = []
        async with trio.open_nursery() as asking:
            for _ in range(50):
                asking.start_soon(ask, log, results)
            await trio.testing.wait_all_tasks_blocked()
            log.may_answer.set()
        assert results == [[6, 7, 8]] * 50
        assert log.reads == 1

    with_log(test)


def test_one_that_comes_a_little_later_is_served_by_the_same_read_and_a_late_one_by_another() -> None:
    async def test(log: Log) -> None:
        results: list[object] = []
        log.may_answer.set()
        await ask(log, results)
        await trio.sleep(KEEP_S * 0.9)
        await ask(log, results)
        assert log.reads == 1
        await trio.sleep(KEEP_S * 0.2)
        await ask(log, results)
        assert log.reads == 2
        assert results == [[6, 7, 8]] * 3

    with_log(test)


def test_a_read_that_does_not_reach_what_memory_begins_with_by_now_is_not_used() -> None:
    async def test(log: Log) -> None:
        results: list[object] = []
        log.may_answer.set()
        await ask(log, results, floor=7, known=8)
        log.last = 20
        await ask(log, results, floor=9, known=20)
        assert results == [[6, 7, 8], list(range(6, 21))]
        assert log.reads == 2

    with_log(test)


def test_the_first_may_go_away_and_the_others_are_served_all_the_same() -> None:
    async def test(log: Log) -> None:
        results: list[object] = []
        first = trio.CancelScope()

        async def ask_first() -> None:
            with first:
                await ask(log, results)

        async with trio.open_nursery() as asking:
            asking.start_soon(ask_first)
            await trio.testing.wait_all_tasks_blocked()
            asking.start_soon(ask, log, results)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel()
            await trio.testing.wait_all_tasks_blocked()
            log.may_answer.set()
        assert first.cancelled_caught
        assert log.reads == 1
        assert results == [[6, 7, 8]]

    with_log(test)


@pytest.mark.parametrize(("reason", "is_final"), [(Reason.OVERLOADED, False), (Reason.BAD_CURSOR, True)])
def test_a_refusal_is_everyones_who_waited_and_only_a_final_one_is_kept(reason: Reason, *, is_final: bool) -> None:
    async def test(log: Log) -> None:
        results: list[object] = []
        log.refusal = Refusal(reason)
        async with trio.open_nursery() as asking:
            for _ in range(3):
                asking.start_soon(ask, log, results)
            await trio.testing.wait_all_tasks_blocked()
            log.may_answer.set()
        assert results == [reason] * 3
        assert log.reads == 1
        log.refusal = None
        await ask(log, results)
        assert results[-1] == (reason if is_final else [6, 7, 8])
        await trio.sleep(KEEP_S * 1.1)
        await ask(log, results)
        assert results[-1] == [6, 7, 8]

    with_log(test)


def test_what_was_read_a_moment_ago_is_there_without_waiting() -> None:
    async def test(log: Log) -> None:
        results: list[object] = []
        assert log.kept("s", CURSOR, floor=7) is None
        async with trio.open_nursery() as asking:
            asking.start_soon(ask, log, results)
            await trio.testing.wait_all_tasks_blocked()
            assert log.kept("s", CURSOR, floor=7) is None, "it is being read"
            log.may_answer.set()
        found = log.kept("s", CURSOR, floor=8)
        assert found is not None
        assert [message.seq for message in found] == [6, 7, 8]
        assert log.kept("s", CURSOR, floor=9) is None, "it does not reach so far"
        assert log.kept("t", CURSOR, floor=7) is None
        await trio.sleep(KEEP_S * 1.1)
        assert log.kept("s", CURSOR, floor=7) is None

    with_log(test)


def test_not_all_ranges_are_kept() -> None:
    async def test(log: Log) -> None:
        results: list[object] = []
        log.may_answer.set()
        for _ in range(2):
            for seq in range(1_000):
                await ask(log, results, Cursor("ab", seq), floor=0, known=0)
        assert log.reads > 1_900

    with_log(test)
