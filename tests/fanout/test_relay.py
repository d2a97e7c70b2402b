"""Relay: all topics of an edge over one call."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest

from livecomments.errors import Reason, Refusal
from livecomments.settings import Settings
from livecomments.v1 import feed_service_pb2 as pb
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED
from tests.fanout.parts import (
    Seen,
    Source,
    fanout_settings,
    open_source,
    relay,
    serve_drainable,
    served,
    soon,
    stub,
    watch,
)
from tests.processes import NatsServer, Service

pytestmark = pytest.mark.anyio


async def test_an_edge_gets_all_its_topics_over_one_call(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        names = [f"s{number}" for number in range(20)]
        for name in names:
            await source.make_stream(name)
            await source.post(name, f"history of {name}")
        async with relay(address, data_dir) as edge:
            for name in names:
                seen = await edge.join(name)
                assert seen.snapshot_texts == [f"history of {name}"]
                assert not seen.snapshot.recovered
            for number in range(5):
                await asyncio.gather(*(source.post(name, f"{number}") for name in names))
            await soon(lambda: all(len(edge.of(name).texts) == 5 for name in names), "all comments are there")
            assert all(edge.of(name).texts == ["0", "1", "2", "3", "4"] for name in names)
            # 20 snapshots, and at most 100 windows: many of them together.
            assert edge.responses < 20 + 100


async def test_an_edge_that_comes_back_gets_what_it_missed_in_order(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with relay(address, data_dir) as edge:
            seen = await edge.join("a")
            seqs = await source.post_each("a", [str(number) for number in range(10)])
            await soon(lambda: seen.seqs == seqs, "all comments are there")
        for seq in seqs:
            async with relay(address, data_dir) as again:
                back = await again.join("a", source.cursor(seq))
                assert back.snapshot.recovered
                assert not back.snapshot.comments
                assert back.snapshot.cursor == source.cursor(seq)
                missed = [one for one in seqs if one > seq]
                await soon(lambda got=back, expected=missed: len(got.seqs) >= len(expected), "what was missed")
                assert back.seqs == missed
                assert len(back.batches) == (1 if missed else 0)


async def test_an_edge_keeps_its_place_when_the_fanout_is_killed(
    settings: Settings, data_dir: Path, nats_server: NatsServer
) -> None:
    with Service("fanout", data_dir, nats_url=nats_server.url) as fanout:
        async with open_source(settings) as source:
            await source.make_stream("a")
            async with relay(fanout.address, data_dir) as edge:
                seen = await edge.join("a")
                seqs = [await source.post("a", "before")]
                await soon(lambda: seen.seqs == seqs, "the first is there")
                fanout.kill()
                await soon(lambda: edge.ended, "the call ends")
            seqs += await source.post_each("a", ["meanwhile", "and then"])
            await asyncio.to_thread(fanout.start)
            async with relay(fanout.address, data_dir) as edge:
                back = await edge.join("a", source.cursor(seqs[0]))
                assert back.snapshot.recovered
                await soon(lambda: back.seqs == seqs[1:], "what was missed")


async def test_an_edge_ahead_of_this_fanout_gets_nothing_that_it_has(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings, fanout_window_ms=1_000)) as address:
        await source.make_stream("a")
        async with relay(address, data_dir) as behind, relay(address, data_dir) as ahead:
            slow = await behind.join("a")
            seqs = await source.post_each("a", ["one", "two", "three"])
            seen = await ahead.join("a", source.cursor(seqs[1]))
            assert seen.snapshot.recovered
            await soon(lambda: slow.seqs == seqs and seen.seqs, "the feed goes on")
            assert seen.texts == ["three"]


async def test_unknown_streams_and_bad_cursors_are_refused_and_harm_no_other_topic(
    settings: Settings, data_dir: Path
) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with relay(address, data_dir) as edge:
            good = await edge.join("a")
            assert (await edge.join("nobody")).refused == [Reason.STREAM_NOT_FOUND]
            assert (await edge.join("no stream id")).refused == [Reason.INVALID_FIELD]
            edge.of("a").refused.clear()
            await source.post("a", "still here")
            await soon(lambda: good.texts == ["still here"], "the feed goes on")
            bad = await edge.join("a", "not a cursor")
            assert bad.refused == [Reason.BAD_CURSOR]
            # One that did not exist may come to exist.
            await source.make_stream("nobody")
            assert (await edge.join("nobody")).snapshots


async def test_a_topic_that_is_left_sends_nothing_and_one_that_is_joined_again_begins_anew(
    settings: Settings, data_dir: Path
) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        await source.make_stream("b")
        async with relay(address, data_dir) as edge:
            left, other = await edge.join("a"), await edge.join("b")
            first = await source.post("a", "one")
            await soon(lambda: left.texts == ["one"], "the first is there")
            edge.leave("a")
            # The answer to a later join says that the leave was read.
            await edge.join("b")
            await source.post("a", "two")
            await source.post("b", "of b")
            await soon(lambda: other.texts == ["of b"], "the other topic goes on")
            assert left.texts == ["one"]
            again = await edge.join("a", source.cursor(first))
            assert again.snapshot.recovered
            await soon(lambda: again.texts == ["one", "two"], "what was missed")
            once_more = await edge.join("a")
            assert once_more.snapshot_texts == ["one", "two"]
            await source.post("a", "three")
            await soon(lambda: once_more.texts == ["one", "two", "three"], "the feed goes on, once")


async def test_only_services_may_relay(settings: Settings) -> None:
    async with served(fanout_settings(settings)) as address, stub(address) as feed:
        token = settings.token_key().issue("una", ttl_s=60)
        for metadata, expected in (
            ((), Reason.UNAUTHENTICATED),
            ((("authorization", f"Bearer {token}"),), Reason.FORBIDDEN),
        ):
            for call in (
                feed.Relay(metadata=metadata),
                feed.Backfill(pb.BackfillRequest(stream_id="a"), metadata=metadata),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call.read()
                assert Refusal.from_rpc_error(refused.value).reason is expected


async def test_draining_ends_relays_so_that_edges_move(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, serve_drainable(fanout_settings(settings)) as (address, drain):
        await source.make_stream("a")
        async with relay(address, data_dir) as edge:
            await edge.join("a")
            drain()
            await soon(lambda: edge.ended, "the call ends")
            assert edge.error is not None
            assert Refusal.from_rpc_error(edge.error).reason is Reason.DRAINING


async def test_a_fanout_that_is_told_to_stop_ends_its_calls_and_goes(
    settings: Settings, data_dir: Path, nats_server: NatsServer
) -> None:
    with Service("fanout", data_dir, nats_url=nats_server.url) as fanout:
        async with open_source(settings) as source:
            await source.make_stream("a")
            async with relay(fanout.address, data_dir) as edge, watch(fanout.address, "a") as watching:
                await edge.join("a")
                assert await asyncio.to_thread(fanout.stop) == 0
                await soon(lambda: edge.ended and watching.ended, "the calls end")
                for error in (edge.error, watching.error):
                    assert error is not None
                    assert Refusal.from_rpc_error(error).reason is Reason.DRAINING


async def test_the_end_of_a_stream_reaches_the_edge(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        stream = await source.make_stream("a")
        async with relay(address, data_dir) as edge:
            seen = await edge.join("a")
            await source.end(stream)
            await soon(lambda: seen.kinds == ["ended"], "the end is there")
            assert (await edge.join("a")).snapshot.stream.state == STREAM_STATE_ENDED


async def test_a_slow_edge_gets_snapshots_and_costs_no_memory(
    settings: Settings, data_dir: Path, nats_server: NatsServer
) -> None:
    fanout = Service(
        "fanout",
        data_dir,
        nats_url=nats_server.url,
        fanout_window_ms="5",
        fanout_relay_queue_bytes="1048576",
        fanout_ring_bytes="1048576",
    )
    with fanout:
        async with open_source(settings) as source:
            await source.make_stream("a")
            await source.make_stream("quiet")
            async with relay(fanout.address, data_dir) as slow, relay(fanout.address, data_dir) as quick:
                seen, all_of_it = await slow.join("a"), await quick.join("a")
                quiet = await slow.join("quiet")
                slow.reads.clear()
                before = resident_bytes(fanout)
                # 40 MB: far more than HTTP/2's windows, the queue and the ring hold together.
                seqs = await post_much(source, all_of_it, 40)
                grown = resident_bytes(fanout) - before
                slow.reads.set()
                await soon(lambda: seen.reached >= seqs[-1], "the slow edge is there, too")
                await source.post("quiet", "untouched")
                await soon(lambda: quiet.texts == ["untouched"], "other topics go on")
            assert all_of_it.seqs == seqs
            assert len(seen.snapshots) > 1
            assert not seen.snapshot.recovered
            assert len(seen.seqs) < len(seqs)
            assert grown < 25 * 1024**2
            assert 'livecomments_fanout_snapshots_total{kind="overflow"}' in await metrics_of(fanout)
        assert fanout.stop() == 0


async def test_a_slow_watch_is_ended_and_can_resume(settings: Settings) -> None:
    tight = fanout_settings(settings, fanout_watch_queue_bytes=64 * 1024, fanout_window_ms=5)
    async with open_source(settings) as source, served(tight) as address, stub(address) as feed:
        await source.make_stream("a")
        call = aiter(feed.Watch(pb.WatchRequest(stream_id="a")))
        slow = Seen()
        slow.take(await anext(call))
        async with relay(address, settings.data_dir) as edge:
            seqs = await post_much(source, await edge.join("a"), 20)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await read_on(call, slow)
        assert Refusal.from_rpc_error(ended.value).reason is Reason.OVERLOADED
        assert slow.seqs == seqs[: len(slow.seqs)]
        assert len(slow.seqs) < len(seqs)


async def read_on(call: AsyncIterator[pb.WatchResponse], seen: Seen) -> None:
    async for response in call:
        seen.take(response)


async def post_much(source: Source, reader: Seen, megabytes: int) -> list[int]:
    """Posts no faster than the reader reads; the sequences of 10 messages a megabyte."""
    seqs: list[int] = []
    for _ in range(megabytes):
        seqs += [await source.post("a", *("x" * 1_000 for _ in range(90))) for _ in range(10)]
        await soon(lambda last=seqs[-1]: last in reader.seqs, "the quick one has all")
    return seqs


async def metrics_of(process: Service) -> str:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://{process.metrics}/metrics")).text


def resident_bytes(process: Service) -> int:
    assert process.popen is not None
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))
