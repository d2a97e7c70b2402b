"""What becomes of a read that the store does not answer."""

import asyncio

import pytest

from livecomments.errors import Reason, Refusal
from storage.reads import from_store
from storage.store import StoreUnavailable

pytestmark = pytest.mark.anyio


async def test_a_read_that_is_not_answered_in_time_is_cancelled_and_refused() -> None:
    cancelled = False

    async def stuck() -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(Refusal) as refused:
        await from_store("ListComments", stuck(), timeout_s=0.01)
    assert refused.value.reason is Reason.OVERLOADED
    assert refused.value.retry_after_ms > 0
    assert cancelled


async def test_a_store_that_fails_refuses_and_one_that_answers_is_heard() -> None:
    async def failing() -> None:
        raise StoreUnavailable("the disk is full")

    async def well() -> str:
        return "comments"

    with pytest.raises(Refusal) as refused:
        await from_store("ListComments", failing())
    assert refused.value.reason is Reason.OVERLOADED
    assert "disk" not in str(refused.value), "what is behind it is nobody's business"
    assert await from_store("ListComments", well()) == "comments"
