"""A read is asked of as many peers as it takes, and of no more: without gRPC."""

import asyncio
from dataclasses import dataclass, field

import pytest

from livecomments.errors import Reason, Refusal
from livecomments.hedged import Hedged

pytestmark = pytest.mark.anyio

LONG_S = 60.0
"""Longer than any of these tests may take."""
SHORT_S = 0.05


@dataclass
class Peer:
    """Answers with its name, unless it is told otherwise."""

    name: str
    refusal: Refusal | None = None
    is_frozen: bool = False
    asked: int = 0
    under_way: int = 0
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> str:
        self.asked += 1
        self.under_way += 1
        self.was_asked.set()
        try:
            if self.is_frozen:
                await asyncio.Event().wait()
            if self.refusal is not None:
                raise self.refusal
            return self.name
        finally:
            self.under_way -= 1


async def read(hedged: Hedged[Peer], patience_s: float = LONG_S, deadline_s: float = LONG_S) -> str:
    return await hedged.ask(lambda peer: peer.read(), patience_s=patience_s, deadline_s=deadline_s)


async def test_the_first_is_enough_while_it_answers() -> None:
    first, second = Peer("first"), Peer("second")
    hedged = Hedged([first, second])
    assert [await read(hedged) for _ in range(3)] == ["first"] * 3
    assert second.asked == 0


async def test_another_is_asked_while_the_first_is_silent_which_is_then_left_alone_for_a_while() -> None:
    frozen, well = Peer("frozen", is_frozen=True), Peer("well")
    hedged = Hedged([frozen, well])
    assert [await read(hedged, SHORT_S) for _ in range(3)] == ["well"] * 3
    assert frozen.asked == 1
    assert frozen.under_way == 0


async def test_two_that_are_silent_do_not_hide_the_third() -> None:
    frozen = [Peer("a", is_frozen=True), Peer("b", is_frozen=True)]
    assert await read(Hedged([*frozen, Peer("well")]), SHORT_S) == "well"
    assert [peer.under_way for peer in frozen] == [0, 0]


@pytest.mark.parametrize("reason", [Reason.OVERLOADED, Reason.DRAINING])
async def test_one_that_refuses_for_now_is_passed_over_at_once(reason: Reason) -> None:
    assert await read(Hedged([Peer("full", Refusal(reason)), Peer("well")])) == "well"


async def test_a_final_word_is_the_answer_whoever_else_is_silent() -> None:
    frozen, final = Peer("frozen", is_frozen=True), Peer("final", Refusal(Reason.COMMENT_NOT_FOUND))
    never = Peer("never")
    with pytest.raises(Refusal) as raised:
        await read(Hedged([frozen, final, never]), SHORT_S)
    assert raised.value.reason is Reason.COMMENT_NOT_FOUND
    assert (frozen.under_way, never.asked) == (0, 0)


async def test_when_none_answers_in_time_the_last_word_is_that_it_may_be_tried_again() -> None:
    frozen = [Peer("a", is_frozen=True), Peer("b", is_frozen=True)]
    for peers in (frozen, [Peer("full", Refusal(Reason.OVERLOADED))], []):
        with pytest.raises(Refusal) as raised:
            await read(Hedged(peers), SHORT_S, 4 * SHORT_S)
        assert raised.value.reason is Reason.OVERLOADED
    assert [peer.under_way for peer in frozen] == [0, 0]


async def test_who_leaves_takes_its_calls_along() -> None:
    frozen = [Peer("a", is_frozen=True), Peer("b", is_frozen=True)]
    async with asyncio.timeout(LONG_S):
        reading = asyncio.create_task(read(Hedged(frozen), SHORT_S))
        await frozen[1].was_asked.wait()
        assert [peer.under_way for peer in frozen] == [1, 1]
        reading.cancel()
        await asyncio.wait([reading])
    assert reading.cancelled()
    assert [peer.under_way for peer in frozen] == [0, 0]
