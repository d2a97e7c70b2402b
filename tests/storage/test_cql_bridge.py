"""From the driver's threads to asyncio: nothing is lost on the way, and no more is under way than there may be."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from storage.cql.bridge import Bridge, together
from storage.store import StoreUnavailable
from tests.storage.broadcast import until

pytestmark = pytest.mark.anyio


class Request:
    """What the driver gives for a statement; answered by the test."""

    def __init__(self, statement: str) -> None:
        self.statement = statement

    def add_callbacks(self, callback: Callable[[object], None], errback: Callable[[Exception], None]) -> None:
        self.answer, self.fail = callback, errback


class Driver:
    """A session that answers when it is told to."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.broken = False

    def execute_async(self, statement: str, execution_profile: str) -> Request:
        assert execution_profile == "read"
        if self.broken:
            raise TypeError("not a statement")
        self.requests.append(Request(statement))
        return self.requests[-1]

    async def sent(self, number: int) -> None:
        async def reached() -> bool:
            return len(self.requests) >= number

        await until(reached, f"{number} statements with the driver")


@pytest.fixture
def driver() -> Driver:
    return Driver()


def bridge_of(driver: Driver, under_way_max: int = 100, waiting_max: int = 100) -> Bridge:
    session: Any = driver
    return Bridge(session, "read", under_way_max, waiting_max)


def in_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


async def test_each_gets_its_own_answer_and_the_loop_is_woken_once_for_all(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = bridge_of(driver)
    loop = asyncio.get_running_loop()
    woken = 0
    wake = loop.call_soon_threadsafe

    def counted(*arguments: Any, **named: Any) -> asyncio.Handle:
        nonlocal woken
        woken += 1
        return wake(*arguments, **named)

    tasks = [asyncio.create_task(bridge.run(f"read {number}")) for number in range(50)]
    await driver.sent(50)
    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    in_a_thread(lambda: [request.answer([(request.statement,)]) for request in driver.requests])
    assert await asyncio.gather(*tasks) == [[(f"read {number}",)] for number in range(50)]
    assert woken == 1
    tasks = [asyncio.create_task(bridge.run("write"))]
    await driver.sent(51)
    in_a_thread(lambda: driver.requests[50].answer(None))
    assert await tasks[0] == []
    assert woken == 2


async def test_what_the_driver_fails_with_is_the_stores_failure(driver: Driver) -> None:
    bridge = bridge_of(driver)
    task = asyncio.create_task(bridge.run("read"))
    await driver.sent(1)
    error = RuntimeError("no replica")
    in_a_thread(lambda: driver.requests[0].fail(error))
    with pytest.raises(StoreUnavailable, match="RuntimeError: no replica") as raised:
        await task
    assert raised.value.__cause__ is error


async def test_a_statement_that_never_left_holds_no_place(driver: Driver) -> None:
    bridge = bridge_of(driver, under_way_max=1)
    driver.broken = True
    for _ in range(2):
        with pytest.raises(TypeError, match="not a statement"):
            await bridge.run("nonsense")


async def test_no_more_are_under_way_than_there_may_be_and_who_is_too_many_is_refused(driver: Driver) -> None:
    bridge = bridge_of(driver, under_way_max=2, waiting_max=3)
    tasks = [asyncio.create_task(bridge.run(f"{number}")) for number in range(5)]
    await driver.sent(2)
    with pytest.raises(StoreUnavailable, match="too many"):
        await bridge.run("6")
    for number in range(5):
        await driver.sent(number + 1)
        assert len(driver.requests) <= number + 2
        in_a_thread(lambda number=number: driver.requests[number].answer([]))
    await asyncio.gather(*tasks)


async def test_one_that_is_cancelled_keeps_its_place_until_it_is_answered(driver: Driver) -> None:
    bridge = bridge_of(driver, under_way_max=1)
    given_up = asyncio.create_task(bridge.run("given up"))
    await driver.sent(1)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    waiting = asyncio.create_task(bridge.run("waiting"))
    never_left = asyncio.create_task(bridge.run("never left"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(driver.requests) == 1
    never_left.cancel()
    in_a_thread(lambda: driver.requests[0].fail(RuntimeError("nobody asks any more")))
    await driver.sent(2)
    in_a_thread(lambda: driver.requests[1].answer([(1,)]))
    assert await waiting == [(1,)]
    assert [request.statement for request in driver.requests] == ["given up", "waiting"]


async def test_of_many_that_run_together_the_first_failure_cancels_the_rest(driver: Driver) -> None:
    bridge = bridge_of(driver)
    running = asyncio.create_task(bridge.run_each((f"{number}" for number in range(9)), at_once=3))
    await driver.sent(3)
    in_a_thread(lambda: driver.requests[0].answer([]))
    await driver.sent(4)
    in_a_thread(lambda: driver.requests[1].fail(RuntimeError("no")))
    with pytest.raises(StoreUnavailable, match="RuntimeError: no"):
        await running
    assert len(driver.requests) == 4


async def test_what_runs_together_answers_in_its_order(driver: Driver) -> None:
    bridge = bridge_of(driver)
    running = asyncio.create_task(together(map(bridge.run, ("a", "b"))))
    await driver.sent(2)
    for request in reversed(driver.requests):
        in_a_thread(lambda request=request: request.answer([(request.statement,)]))
    assert await running == [[("a",)], [("b",)]]
