"""Between nats-server and fanout live messages are lost, doubled, delayed and reordered, and replicas are behind; the
feed is the log's all the same, for every viewer.
"""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from livecomments.settings import Settings
from tests.fanout.live_proxy import LiveProxy, Mischief, open_live_proxy
from tests.fanout.parts import (
    Seen,
    Source,
    comment,
    fanout_settings,
    open_source,
    posted,
    relay,
    served,
    soon,
    watch,
)
from tests.processes import NatsServer

pytestmark = pytest.mark.anyio

STREAMS = ("a", "b", "c")
POSTS = 150
EVERYTHING_WITHIN_S = 20.0


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@contextlib.asynccontextmanager
async def behind_a_proxy(settings: Settings, **changes: object) -> AsyncIterator[tuple[Source, LiveProxy, str]]:
    """A log, a proxy, and the address of a fanout that hears of the log through the proxy alone."""
    async with open_source(settings) as source, open_live_proxy(settings.nats_url[0]) as proxy:
        for name in STREAMS:
            await source.make_stream(name)
        async with served(fanout_settings(settings, nats_url=(proxy.url,), **changes)) as address:
            yield source, proxy, address


async def post_all(source: Source, posts: int = POSTS) -> dict[str, list[int]]:
    """Posts into all streams at once; the sequences of each in the log's order."""
    seqs: dict[str, list[int]] = {name: [] for name in STREAMS}

    async def post(name: str) -> None:
        for number in range(posts):
            batch = posted(comment(name, str(number)))
            seqs[name].append(await source.commit_surely(name, batch, f"{name} {number} of {posts}"))

    async with asyncio.TaskGroup() as tasks:
        for name in STREAMS:
            tasks.create_task(post(name))
    return seqs


async def until_all_have(seen: dict[str, list[Seen]], seqs: dict[str, list[int]], within_s: float) -> None:
    """Everyone has every message of its stream, once and in order."""

    def missing() -> list[str]:
        return [name for name, all_of_it in seen.items() for one in all_of_it if len(one.seqs) < len(seqs[name])]

    await soon(lambda: not missing(), "everyone has everything", within_s)
    for name, viewers in seen.items():
        for viewer in viewers:
            assert viewer.seqs == seqs[name]


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_to_live_messages_every_viewer_sees_the_log_once_and_in_order(
    settings: Settings, nats_server: NatsServer, seed: int
) -> None:
    dice = random.Random(seed)
    async with (
        behind_a_proxy(settings, fanout_window_ms=10) as (source, proxy, address),
        relay(address, settings.data_dir) as edge,
        watch(address, "a") as a,
        watch(address, "b") as b,
        watch(address, "c") as c,
    ):
        seen: dict[str, list[Seen]] = {
            name: [await edge.join(name), watching] for name, watching in zip(STREAMS, (a, b, c), strict=True)
        }
        proxy.mischief = Mischief(seed, lost=0.2, doubled=0.2, late=0.3)
        proxy.stale = lambda: dice.random() < 0.5
        async with asyncio.TaskGroup() as tasks:
            posting = tasks.create_task(post_all(source))
            await soon(lambda: len(a.seqs) > POSTS / 3, "a part is there", EVERYTHING_WITHIN_S)
            proxy.cut()
            await soon(lambda: len(a.seqs) > POSTS / 2, "it goes on", EVERYTHING_WITHIN_S)
            nats_server.kill()
            nats_server.start()
        await until_all_have(seen, posting.result(), EVERYTHING_WITHIN_S)
        assert min(proxy.mischief.done.values()) > 10
        assert proxy.stale_answers > 0


async def test_a_nats_server_that_freezes_delays_the_feed_and_takes_nothing_from_it(
    settings: Settings, nats_server: NatsServer
) -> None:
    async with (
        behind_a_proxy(settings, fanout_window_ms=10) as (source, proxy, address),
        watch(address, "a") as watching,
    ):
        proxy.mischief = Mischief(4, lost=0.2, doubled=0.2, late=0.2)
        async with asyncio.TaskGroup() as tasks:
            posting = tasks.create_task(post_all(source))
            await soon(lambda: len(watching.seqs) > POSTS / 3, "a part is there", EVERYTHING_WITHIN_S)
            nats_server.signal(signal.SIGSTOP)
            try:
                # Given up as frozen, not only slow.
                await soon(lambda: not source.client.is_connected, "the connection is given up", 15)
            finally:
                nats_server.signal(signal.SIGCONT)
        await until_all_have({"a": [watching]}, posting.result(), EVERYTHING_WITHIN_S)
        assert min(proxy.mischief.done.values()) > 0


async def test_a_lost_last_message_shows_within_6_s_although_replicas_are_behind(settings: Settings) -> None:
    async with behind_a_proxy(settings) as (source, proxy, address), watch(address, "a") as watching:
        first = await source.post("a", "heard")
        await soon(lambda: watching.seqs == [first], "the first is there")
        proxy.mischief = Mischief(lost=1.0)
        clock = asyncio.get_running_loop().time
        behind_until = clock() + 0.8
        proxy.stale = lambda: clock() < behind_until
        last = await source.post("a", "lost")
        await soon(lambda: watching.seqs == [first, last], "the last one is there", 6)


async def test_a_replica_that_never_catches_up_hides_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fanout.log_topic.PROBE_S", 0.3)
    async with behind_a_proxy(settings) as (source, proxy, address), watch(address, "a") as watching:
        proxy.stale = lambda: True
        seqs = [await source.post("a", "heard")]
        await soon(lambda: watching.seqs == seqs, "the first is there")
        proxy.mischief = Mischief(lost=1.0)
        seqs.append(await source.post("a", "lost, and nothing follows"))
        await soon(lambda: watching.seqs == seqs, "the leader was asked")
        before = proxy.stale_answers
        seqs += await source.post_each("a", [str(number) for number in range(100)])
        proxy.mischief = Mischief()
        seqs.append(await source.post("a", "heard"))
        # By the replica's answers alone it would take 0.8 s for each.
        await soon(lambda: watching.seqs == seqs, "the leader gave them together")
        assert proxy.stale_answers - before < 50


async def test_what_nats_py_drops_because_too_much_waits_is_counted_and_fetched(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fanout.log_topic._PENDING_BYTES", 1_000)
    async with behind_a_proxy(settings) as (source, _, address), watch(address, "a") as watching:
        before = metric("livecomments_fanout_dropped_total")
        # One packet brings many of them.
        seqs = sorted(await asyncio.gather(*(source.post("a", "x" * 100) for _ in range(500))))
        seqs.append(await source.post("a", "heard"))
        await soon(lambda: len(watching.seqs) >= len(seqs), "everything is there")
        assert watching.seqs == seqs
        assert metric("livecomments_fanout_dropped_total") > before


async def test_what_is_purged_before_it_was_heard_holds_nothing_up(settings: Settings) -> None:
    async with behind_a_proxy(settings) as (source, proxy, address), watch(address, "a") as watching:
        seen = [await source.post("a", "heard")]
        await soon(lambda: watching.seqs == seen, "the first is there")
        proxy.mischief = Mischief(lost=1.0)
        await source.post_each("a", ["lost and purged", "lost and purged, too"])
        await source.js.purge_stream(source.shard.name, subject=source.shard.subject("a"))
        proxy.mischief = Mischief()
        # Its predecessor's sequence is 0 now, and then one that is known.
        seen += await source.post_each("a", ["after the purge", "and on"])
        await soon(lambda: watching.seqs == seen, "the feed goes on")
        # A predecessor that was not heard, and is gone when it is asked for.
        proxy.mischief = Mischief(lost=1.0)
        lost = await source.post("a", "lost and purged before anyone asks")
        proxy.stale = lambda: True
        proxy.mischief = Mischief()
        last = await source.post("a", "shows a gap")
        await source.js.purge_stream(source.shard.name, seq=lost + 1, subject=source.shard.subject("a"))
        proxy.stale = lambda: False
        await soon(lambda: last in watching.seqs, "the feed goes on")
        assert watching.seqs in ([*seen, last], [*seen, lost, last])


async def test_a_log_that_is_made_anew_behind_a_standing_connection_ends_the_calls(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fanout.from_log.LOOK_EVERY_S", 0.2)
    async with behind_a_proxy(settings) as (source, _, address):
        await source.post_each("a", ["old", "older than the new log is long"])
        async with watch(address, "a") as watching:
            await source.js.delete_stream(source.shard.name)
            async with open_source(settings) as anew:
                seq = await anew.post("a", "of the new log")
                await soon(lambda: watching.ended, "the watch ends")
                assert watching.error is not None
                async with watch(address, "a") as again:
                    assert again.snapshot.cursor == anew.cursor(seq)
                    assert again.snapshot_texts == ["of the new log"]


# -- the proxy itself --


def test_mischief_is_drawn_from_its_seed() -> None:
    one, same, other = (Mischief(seed, lost=0.3, doubled=0.3, late=0.3) for seed in (1, 1, 2))
    drawn = [one.copies() for _ in range(100)]
    assert drawn == [same.copies() for _ in range(100)]
    assert drawn != [other.copies() for _ in range(100)]
    assert {len(copies) for copies in drawn} == {0, 1, 2}
    assert sum(one.done.values()) == sum(copies != [0] for copies in drawn)
    assert all(Mischief().copies() == [0] for _ in range(10))
