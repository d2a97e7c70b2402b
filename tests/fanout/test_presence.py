"""How many watch, over all fanouts."""

from pathlib import Path

import pytest

from livecomments.settings import Settings
from tests.fanout.parts import fanout_settings, open_source, relay, served, soon, watch

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fanout.presence.EVERY_S", 0.1)


async def test_viewers_of_two_fanouts_are_added_up(settings: Settings, data_dir: Path) -> None:
    async with (
        open_source(settings) as source,
        served(fanout_settings(settings)) as one,
        served(fanout_settings(settings)) as two,
    ):
        await source.make_stream("a")
        await source.make_stream("b")
        async with relay(one, data_dir) as first, relay(two, data_dir) as second:
            here, there = await first.join("a"), await second.join("a")
            other = await first.join("b")
            first.report("a", 3)
            second.report("a", 4)
            await soon(lambda: here.viewers[-1] == there.viewers[-1] == 7, "both know of seven")
            async with watch(two, "a") as watching:
                await soon(lambda: here.viewers[-1] == there.viewers[-1] == 8, "a watch is a viewer, too")
                assert (await first.join("a")).snapshot.viewers == 8
                await soon(lambda: watching.viewers[-1] == 8, "it is told, too")
            second.report("a", 0)
            await soon(lambda: here.viewers[-1] == 3, "those who left are gone")
            assert set(other.viewers) == {0}


async def test_the_viewers_of_an_edge_that_is_gone_count_no_more(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with relay(address, data_dir) as stays:
            seen = await stays.join("a")
            stays.report("a", 1)
            async with relay(address, data_dir) as goes:
                await goes.join("a")
                goes.report("a", 10)
                goes.report("never joined", 10)
                await soon(lambda: seen.viewers[-1] == 11, "both count")
            await soon(lambda: seen.viewers[-1] == 1, "one is gone")


async def test_the_viewers_of_a_topic_that_is_left_count_no_more(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with relay(address, data_dir) as stays, relay(address, data_dir) as leaves:
            seen = await stays.join("a")
            await leaves.join("a")
            leaves.report("a", 10)
            await soon(lambda: seen.viewers[-1] == 10, "it counts")
            leaves.leave("a")
            await soon(lambda: seen.viewers[-1] == 0, "it is gone")
