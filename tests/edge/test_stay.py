"""A viewer that Hypercorn serves, and its time."""

import math
from contextlib import aclosing

import pytest
from trio.testing import MockClock

from edge.audience import END, Viewer
from edge.encodings import Encoding
from edge.encodings.sse import SSE
from edge.encodings.websocket import WEBSOCKET
from edge.expiry import FOREVER, Ending, Stay
from edge.sampling import Selection

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> object:
    """Time passes when everyone waits."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


async def chunks(viewer: Viewer, most: int = 20) -> list[bytes]:
    given = []
    async with aclosing(viewer.chunks(heartbeat_s=10)) as parts:
        async for data in parts:
            given.append(data)
            if len(given) == most:
                break
    return given


def viewer(stay: Stay, encoding: Encoding = SSE) -> Viewer:
    return Viewer(encoding, Selection.SAMPLE, b"first", 1000, lambda: None, stay=stay)


async def test_it_is_sent_away_when_its_time_has_come_and_shows_life_until_then() -> None:
    *before, last = await chunks(viewer(Stay(25, Ending.AGE)))
    assert before == [b"first", SSE.heartbeat, SSE.heartbeat]
    assert last.startswith(b"retry: ")


async def test_one_whose_token_ends_is_told_where_there_is_a_word_for_it() -> None:
    assert await chunks(viewer(Stay(5, Ending.TOKEN), WEBSOCKET)) == [b"first", WEBSOCKET.expired]
    assert await chunks(viewer(Stay(5, Ending.TOKEN))) == [b"first"]


async def test_one_that_may_stay_for_ever_stays() -> None:
    assert math.isinf(FOREVER.until)
    assert await chunks(viewer(FOREVER)) == [b"first", *[SSE.heartbeat] * 19]


async def test_one_that_was_cut_for_being_behind_does_not_come_back_to_life() -> None:
    cut = viewer(Stay(5, Ending.AGE))
    cut.write(b"x" * 2000)
    assert cut.is_leaving
    assert END not in (await chunks(cut, most=2))
