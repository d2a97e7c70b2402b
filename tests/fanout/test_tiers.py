"""Fanouts that feed each other: the same events in the same order at each tier, whatever is cut between two."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from prometheus_client import REGISTRY

from fanout.messages import Entry
from fanout.ranges import Range
from fanout.upstream_past import UpstreamPast
from livecomments.errors import Reason, Refusal
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, STREAM_VISIBILITY_PRIVATE, Event
from tests.fanout.parts import (
    Line,
    Source,
    backfill,
    fanout_settings,
    open_line,
    open_source,
    relay,
    serve_drainable,
    served,
    soon,
    watch,
)
from tests.processes import NatsServer

pytestmark = pytest.mark.anyio

NOWHERE = ("nats://127.0.0.1:1",)


def fed_by(settings: Settings, *upstream: str, **changes: object) -> contextlib.AbstractAsyncContextManager[str]:
    """A fanout that other ones feed, and that knows of no NATS."""
    return served(fanout_settings(settings, nats_url=NOWHERE, fanout_upstream_urls=upstream, **changes))


def recoveries() -> float:
    """Resumes that succeeded, in all fanouts of this process."""
    return REGISTRY.get_sample_value("livecomments_fanout_snapshots_total", {"kind": "recovered"}) or 0.0


@dataclass(frozen=True)
class Tiers:
    """Three fanouts, each fed by the one before; the last one by a line that can be cut."""

    source: Source
    root: str
    regional: str
    local: str
    line: Line


@contextlib.asynccontextmanager
async def open_tiers(settings: Settings, **above: object) -> AsyncIterator[Tiers]:
    """``above``: settings of the root and the regional one."""
    async with (
        open_source(settings) as source,
        served(fanout_settings(settings, fanout_window_ms=20, **above)) as root,
        fed_by(settings, root, **above) as middle,
        open_line(middle) as line,
        fed_by(settings, line.address) as local,
    ):
        await source.make_stream("a")
        yield Tiers(source, root, middle, local, line)


async def test_each_tier_shows_the_same_windows_in_the_same_order(settings: Settings) -> None:
    async with (
        open_tiers(settings) as tiers,
        watch(tiers.root, "a") as top,
        watch(tiers.regional, "a") as middle,
        watch(tiers.local, "a") as bottom,
        relay(tiers.local, settings.data_dir) as edge,
    ):
        relayed = await edge.join("a")
        seqs = sorted(await asyncio.gather(*(tiers.source.post("a", str(number)) for number in range(200))))
        seqs += await tiers.source.post_each("a", ["one", "by", "one"])
        stream = await tiers.source.make_stream("a")
        seqs.append(await tiers.source.end(stream))
        everyone = (top, middle, bottom, relayed)
        await soon(lambda: all(len(seen.seqs) >= len(seqs) for seen in everyone), "everyone has everything")
        windows = [[message.seq for message in batch.messages] for batch in top.batches]
        assert len(windows) < len(seqs)
        for seen in everyone:
            assert seen.seqs == seqs
            assert [[message.seq for message in batch.messages] for batch in seen.batches] == windows
        assert not any(event.posted.request_digest for one in bottom.messages for event in one.events.events)
        await soon(lambda: top.ended and middle.ended and bottom.ended, "the watches end")


async def test_who_comes_late_to_the_lowest_tier_gets_the_history(settings: Settings) -> None:
    async with open_tiers(settings) as tiers:
        await tiers.source.post_each("a", [str(number) for number in range(150)])
        stream = await tiers.source.make_stream("b")
        await tiers.source.post("b", "last words")
        await tiers.source.end(stream)
        async with watch(tiers.local, "a") as late, watch(tiers.local, "b") as too_late:
            assert late.snapshot_texts == [str(number) for number in range(50, 150)]
            seq = await tiers.source.post("a", "live")
            await soon(lambda: late.seqs == [seq], "the feed goes on")
            assert too_late.snapshot_texts == ["last words"]
            assert too_late.snapshot.stream.state == STREAM_STATE_ENDED
            await soon(lambda: too_late.ended, "the ended stream's watch ends")


async def test_what_a_fanout_above_refuses_is_refused_below(settings: Settings) -> None:
    async with open_tiers(settings) as tiers, relay(tiers.local, settings.data_dir) as edge:
        assert (await edge.join("nobody")).refused == [Reason.STREAM_NOT_FOUND]
        await tiers.source.make_stream("nobody", visibility=STREAM_VISIBILITY_PRIVATE)
        assert (await edge.join("nobody")).snapshots
        async with watch(tiers.local, "nobody") as watching:
            assert watching.error is not None
            assert Refusal.from_rpc_error(watching.error).reason is Reason.UNAUTHENTICATED


async def test_a_lost_link_is_resumed_without_a_loss_or_a_double_and_told_meanwhile(
    settings: Settings, data_dir: Path
) -> None:
    async with (
        open_tiers(settings) as tiers,
        watch(tiers.local, "a") as watching,
        relay(tiers.local, data_dir) as edge,
    ):
        relayed = await edge.join("a")
        seqs = await tiers.source.post_each("a", ["one", "two"])
        await soon(lambda: watching.seqs == seqs, "the first ones are there")
        recovered = recoveries()
        await tiers.line.cut()
        seqs += await tiers.source.post_each("a", ["meanwhile", "and then"])
        await soon(lambda: relayed.degraded == watching.degraded == [True], "they are told that the feed is cut off")
        async with watch(tiers.local, "a") as joined:
            assert joined.snapshot.degraded
            assert joined.snapshot_texts == ["one", "two"]
        await tiers.line.mend()
        await soon(lambda: len(watching.seqs) >= len(seqs), "what was missed is there")
        seqs.append(await tiers.source.post("a", "live"))
        await soon(lambda: min(len(watching.seqs), len(relayed.seqs)) >= len(seqs), "the feed goes on")
        assert watching.seqs == relayed.seqs == seqs
        assert relayed.degraded == watching.degraded == [True, False]
        assert len(relayed.snapshots) == 1
        assert recoveries() > recovered, "from the memory of the one above, by cursor"


async def test_the_loss_of_nats_is_told_at_every_tier(settings: Settings, nats_server: NatsServer) -> None:
    async with (
        open_source(settings) as source,
        open_line(nats_server.url) as line,
        served(fanout_settings(settings, nats_url=(line.url,))) as root,
        fed_by(settings, root) as regional,
        relay(root, settings.data_dir) as above,
        relay(regional, settings.data_dir) as below,
    ):
        await source.make_stream("a")
        everyone = (await above.join("a"), await below.join("a"))
        await line.cut()
        seq = await source.post("a", "meanwhile")
        await soon(lambda: all(seen.degraded == [True] for seen in everyone), "everyone is told")
        await line.mend()
        await soon(lambda: all(seen.degraded == [True, False] for seen in everyone), "everyone is told again")
        await soon(lambda: all(seen.seqs == [seq] for seen in everyone), "what was missed is there")


async def test_who_fell_further_behind_than_a_resume_may_bring_is_filled_up_by_backfill(settings: Settings) -> None:
    # A resume may bring half of this.
    async with open_tiers(settings, fanout_relay_queue_bytes=64 * 1024) as tiers, watch(tiers.local, "a") as watching:
        seqs = [await tiers.source.post("a", "before")]
        await soon(lambda: watching.seqs == seqs, "the first is there")
        await tiers.line.cut()
        seqs += await tiers.source.post_each("a", ["x" * 500] * 100)
        async with watch(tiers.regional, "a") as above:
            await soon(lambda: above.reached == seqs[-1], "all of it has passed there")
            await tiers.line.mend()
            await soon(lambda: len(watching.seqs) >= len(seqs), "everything is there")
        seqs.append(await tiers.source.post("a", "live"))
        await soon(lambda: len(watching.seqs) >= len(seqs), "the feed goes on")
        assert watching.seqs == seqs


async def test_what_nobody_has_any_more_is_replaced_by_a_snapshot(settings: Settings, data_dir: Path) -> None:
    async with (
        open_tiers(settings, fanout_relay_queue_bytes=64 * 1024, fanout_ring_bytes=1024) as tiers,
        watch(tiers.local, "a") as watching,
        relay(tiers.local, data_dir) as edge,
    ):
        relayed = await edge.join("a")
        first = await tiers.source.post("a", "before")
        await soon(lambda: watching.seqs == relayed.seqs == [first], "the first is there")
        await tiers.line.cut()
        seqs = await tiers.source.post_each("a", ["x" * 500] * 100)
        async with watch(tiers.regional, "a") as above:
            await soon(lambda: above.reached == seqs[-1], "all of it has passed there")
            await tiers.source.js.purge_stream(tiers.source.shard.name, seq=seqs[-10])
            await tiers.line.mend()
            await soon(lambda: len(relayed.snapshots) == 2, "the edge gets a snapshot")
        assert not relayed.snapshot.recovered
        assert len(relayed.snapshot.comments) == 101
        assert relayed.snapshot.cursor == tiers.source.cursor(seqs[-1])
        await soon(lambda: watching.ended, "the watch ends, to be resumed by cursor")
        assert watching.error is not None
        assert Refusal.from_rpc_error(watching.error).reason is Reason.OVERLOADED
        last = await tiers.source.post("a", "live")
        await soon(lambda: relayed.seqs == [first, last], "the feed goes on")
        async with watch(tiers.local, "a", tiers.source.cursor(first)) as resumed:
            assert not resumed.snapshot.recovered


async def test_more_than_may_wait_for_a_repair_is_joined_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fanout.upstream_topic._HOLD_BYTES", 1_000)
    may_read, read = asyncio.Event(), UpstreamPast.read

    async def slow(self: UpstreamPast, wanted: Range) -> tuple[Entry, ...]:
        await may_read.wait()
        return await read(self, wanted)

    async with open_tiers(settings, fanout_relay_queue_bytes=64 * 1024) as tiers, watch(tiers.local, "a") as watching:
        seqs = [await tiers.source.post("a", "before")]
        await soon(lambda: watching.seqs == seqs, "the first is there")
        await tiers.line.cut()
        seqs += await tiers.source.post_each("a", ["x" * 500] * 100)
        async with watch(tiers.regional, "a") as above:
            await soon(lambda: above.reached == seqs[-1], "all of it has passed there")
            monkeypatch.setattr(UpstreamPast, "read", slow)
            await tiers.line.mend()
            later = await tiers.source.post_each("a", ["y" * 500] * 20)
            await soon(lambda: above.reached == later[-1], "they have passed, too")
        may_read.set()
        seqs += later
        await soon(lambda: len(watching.seqs) >= len(seqs), "everything is there")
        assert watching.seqs == seqs


async def test_a_link_that_is_lost_again_during_a_repair_costs_no_snapshot(
    settings: Settings, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        open_tiers(settings, fanout_relay_queue_bytes=64 * 1024) as tiers,
        relay(tiers.local, data_dir) as edge,
        watch(tiers.regional, "a") as above,
    ):
        seen = await edge.join("a")
        seqs = [await tiers.source.post("a", "before")]
        await soon(lambda: seen.seqs == seqs, "the first is there")
        await tiers.line.cut()
        seqs += await tiers.source.post_each("a", ["x" * 500] * 100)
        await soon(lambda: above.reached == seqs[-1], "all of it has passed there")
        asked, read = asyncio.Event(), UpstreamPast.read

        async def cut_off(self: UpstreamPast, wanted: Range) -> tuple[Entry, ...]:
            if not asked.is_set():
                asked.set()
                await tiers.line.cut()
            return await read(self, wanted)

        monkeypatch.setattr(UpstreamPast, "read", cut_off)
        await tiers.line.mend()
        await asked.wait()
        await tiers.line.mend()
        await soon(lambda: len(seen.seqs) >= len(seqs), "everything is there")
        assert seen.seqs == seqs
        assert len(seen.snapshots) == 1


async def test_a_backfill_at_the_lowest_tier_comes_from_memory_or_once_from_above(
    settings: Settings, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Range] = []
    read = UpstreamPast.read

    async def counted(self: UpstreamPast, wanted: Range) -> tuple[Entry, ...]:
        reads.append(wanted)
        return await read(self, wanted)

    monkeypatch.setattr(UpstreamPast, "read", counted)
    async with open_tiers(settings) as tiers:
        old = await tiers.source.post_each("a", ["one", "two", "three"])
        cursor = tiers.source.cursor(0)
        async with watch(tiers.local, "a") as watching:
            new = await tiers.source.post_each("a", ["four", "five"])
            await soon(lambda: watching.seqs == new, "the new ones are there")

            async def seqs_after(seq: int, through: int) -> list[int]:
                whole = await backfill(tiers.local, data_dir, "a", tiers.source.cursor(seq), 10, through)
                return [message.seq for message in whole.messages]

            assert await seqs_after(old[-1], new[-1]) == new
            assert not reads
            answers = await asyncio.gather(*(seqs_after(0, new[-1]) for _ in range(5)))
            assert answers == [old + new] * 5
            # The lowest tier asks the one above, which asks the root: each once.
            assert len(reads) <= 2 * len(set(reads))
            assert await seqs_after(0, 0) == old + new
            assert await seqs_after(0, old[1]) == old[:2]
            async with watch(tiers.local, "a", tiers.source.cursor(old[0])) as resumed:
                assert resumed.snapshot.recovered
                await soon(lambda: resumed.seqs == [*old[1:], *new], "what was missed is there")
        for stream_id, at, most, expected in (
            ("a", cursor, 4, Reason.BODY_TOO_LARGE),
            ("a", "0ld-1", 10, Reason.BAD_CURSOR),
            ("a", tiers.source.cursor(1_000_000), 10, Reason.BAD_CURSOR),
            ("nobody", cursor, 10, Reason.STREAM_NOT_FOUND),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await backfill(tiers.local, data_dir, stream_id, at, most)
            assert Refusal.from_rpc_error(refused.value).reason is expected


async def test_viewers_are_added_up_over_all_tiers(
    settings: Settings, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fanout.presence.EVERY_S", 0.1)
    monkeypatch.setattr("fanout.upstream.VIEWERS_EVERY_S", 0.1)
    async with (
        open_tiers(settings) as tiers,
        relay(tiers.local, data_dir) as below,
        relay(tiers.root, data_dir) as above,
    ):
        seen, at_the_root = await below.join("a"), await above.join("a")
        below.report("a", 3)
        above.report("a", 4)
        await soon(lambda: seen.viewers[-1] == at_the_root.viewers[-1] == 7, "both know of seven")
        async with watch(tiers.regional, "a"):
            await soon(lambda: seen.viewers[-1] == at_the_root.viewers[-1] == 8, "one more in the middle")
        await tiers.line.cut()
        await soon(lambda: at_the_root.viewers[-1] == 4, "those who are cut off count no more")
        await tiers.line.mend()
        await soon(lambda: at_the_root.viewers[-1] == 7, "they count again")


async def test_a_topic_that_nobody_watches_below_is_left_above(settings: Settings, data_dir: Path) -> None:
    async with (
        open_source(settings) as source,
        served(fanout_settings(settings)) as root,
        fed_by(settings, root, fanout_linger_s=0) as local,
        relay(local, data_dir) as edge,
    ):
        await source.make_stream("a")
        await source.make_stream("b")
        seen = await edge.join("a")
        edge.leave("a")
        # The answer to a later join says that the leave was read.
        await edge.join("b")
        await source.post_each("a", [str(number) for number in range(50)])
        await edge.join("a")
        await source.post("a", "live")
        await soon(lambda: seen.texts[-1:] == ["live"], "the feed goes on")
        # It began anew: what was sent meanwhile is history to it.
        assert [*seen.snapshot_texts, *seen.texts] == [*(str(number) for number in range(50)), "live"]
        assert seen.snapshot_texts


async def test_a_fanout_that_drains_hands_those_below_it_to_another(settings: Settings) -> None:
    async with (
        open_source(settings) as source,
        serve_drainable(fanout_settings(settings)) as (one, drain_one),
        served(fanout_settings(settings)) as two,
    ):
        await source.make_stream("a")
        # Whichever it begins with: it comes to the other one when that is drained.
        async with fed_by(settings, one, two) as local, watch(local, "a") as watching:
            seqs = [await source.post("a", "before")]
            await soon(lambda: watching.seqs == seqs, "the first is there")
            drain_one()
            seqs += await source.post_each("a", ["meanwhile", "and then"])
            await soon(lambda: len(watching.seqs) >= len(seqs), "the other one feeds it")
            assert watching.seqs == seqs


async def test_a_log_that_began_a_new_life_is_followed_at_every_tier(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fanout.from_log.LOOK_EVERY_S", 0.2)
    async with open_tiers(settings) as tiers:
        await tiers.source.post_each("a", ["old", "older than the new log is long"])
        async with watch(tiers.local, "a") as watching:
            await tiers.source.js.delete_stream(tiers.source.shard.name)
            async with open_source(settings) as anew:
                await anew.post("a", "of the new log")
                await soon(lambda: watching.ended, "the watch ends")
                async with watch(tiers.local, "a") as again:
                    assert again.snapshot_texts == ["of the new log"]
                    seq = await anew.post("a", "live")
                    await soon(lambda: again.seqs == [seq], "the feed goes on")


async def test_pins_and_titles_pass_all_tiers(settings: Settings) -> None:
    async with open_tiers(settings) as tiers, watch(tiers.local, "a") as watching:
        renamed, pinned = Event(), Event()
        renamed.updated.stream.title = "Renamed"
        pinned.pinned.comment.comment_id = "c"
        for event in (renamed, pinned):
            await tiers.source.tell("a", event)
        await soon(lambda: watching.kinds == ["updated", "pinned"], "both are there")
        async with watch(tiers.local, "a") as late:
            assert late.snapshot.stream.title == "Renamed"
            assert late.snapshot.stream.pinned.comment_id == "c"


async def test_a_fanout_whose_upstream_is_nowhere_says_so_and_ends(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fanout.from_upstream.CONNECT_TIMEOUT_S", 0.3)
    with pytest.RaisesGroup(pytest.RaisesExc(ConnectionError, match=r"127\.0\.0\.1:1"), flatten_subgroups=True):
        async with fed_by(settings, "127.0.0.1:1"):
            pass
