"""The answers of an Ingest call."""

import asyncio

import pytest

from core.ingest import OPEN_MAX, IngestCall
from livecomments.errors import Reason, Refusal
from livecomments.v1.comment_pb2 import Comment

pytestmark = pytest.mark.anyio


async def test_answers_gather_until_they_are_taken() -> None:
    call = IngestCall()
    call.expect(3)
    call.posted(1, Comment(comment_id="c"), "e-1")
    call.refused(2, Refusal(Reason.USER_RATE, retry_after_ms=5))
    response = await call.take()
    assert response is not None
    assert [result.tag for result in response.results] == [1, 2]
    assert response.results[0].posted.cursor == "e-1"
    assert response.results[1].problem.reason == "USER_RATE"


async def test_it_ends_when_all_is_answered_and_not_before() -> None:
    call = IngestCall()
    call.expect(1)
    call.finish()
    taking = asyncio.ensure_future(call.take())
    await asyncio.sleep(0)
    assert not taking.done()
    call.posted(1, Comment(), "e-1")
    assert await taking is not None
    assert await call.take() is None


async def test_who_does_not_take_answers_is_not_read() -> None:
    call = IngestCall()
    call.expect(OPEN_MAX)
    waiting = asyncio.ensure_future(call.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    for tag in range(OPEN_MAX):
        call.posted(tag, Comment(), "e-1")
    await asyncio.sleep(0)
    assert not waiting.done(), "answered, but not taken"
    taken = 0
    while taken < OPEN_MAX:
        response = await call.take()
        assert response is not None
        assert len(response.results) <= 500
        taken += len(response.results)
    await asyncio.wait_for(waiting, 1)


async def test_a_cancelled_take_loses_nothing() -> None:
    call = IngestCall()
    call.expect(1)
    taking = asyncio.ensure_future(call.take())
    await asyncio.sleep(0)
    taking.cancel()
    call.posted(7, Comment(), "e-1")
    with pytest.raises(asyncio.CancelledError):
        await taking
    response = await call.take()
    assert response is not None
    assert [result.tag for result in response.results] == [7]
