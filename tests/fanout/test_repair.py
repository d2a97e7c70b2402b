"""Live messages are lost; the feed is not."""

import asyncio
import signal
import time

import pytest

from livecomments.settings import Settings
from tests.fanout.parts import comment, fanout_settings, open_line, open_source, posted, served, soon, watch
from tests.processes import NatsServer, Service

pytestmark = pytest.mark.anyio


async def test_a_live_message_that_was_lost_is_fetched_before_anything_later_is_shown(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with watch(address, "a") as watching:
            seqs = [await source.post("a", "heard")]
            await soon(lambda: watching.seqs == seqs, "the first is there")
            async with source.silence():
                seqs += await source.post_each("a", ["lost", "lost, too"])
            seqs.append(await source.post("a", "heard again"))
            await soon(lambda: len(watching.seqs) >= len(seqs), "the lost ones are there", 2)
            assert watching.seqs == seqs


async def test_more_than_one_read_can_hold_is_fetched_in_order(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with watch(address, "a") as watching:
            async with source.silence():
                acks = await asyncio.gather(*(source.post("a", "lost") for _ in range(600)))
            last = await source.post("a", "heard")
            await soon(lambda: last in watching.seqs, "the last one is there")
            assert watching.seqs == [*sorted(acks), last]


async def test_a_lost_last_message_is_found(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with watch(address, "a") as watching:
            await source.post("a", "heard")
            await soon(lambda: watching.seqs, "the first is there")
            async with source.silence():
                last = await source.post("a", "the last word, lost")
            began = time.monotonic()
            await soon(lambda: last in watching.seqs, "the last one is there", 6)
            assert time.monotonic() - began < 6


async def test_what_was_committed_while_the_connection_was_lost_is_asked_for_on_reconnect(
    settings: Settings, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that no probe can be what finds it.
    monkeypatch.setattr("fanout.log_topic.PROBE_S", 600)
    monkeypatch.setattr("fanout.log_topic._FIRST_PROBE_S", 600)
    async with (
        open_source(settings) as source,
        open_line(nats_server.url) as line,
        served(fanout_settings(settings, nats_url=(line.url,))) as address,
    ):
        await source.make_stream("a")
        async with watch(address, "a") as watching:
            seqs = [await source.post("a", "before")]
            await soon(lambda: watching.seqs == seqs, "the first is there")
            await line.cut()
            seqs.append(await source.post("a", "meanwhile"))
            await line.mend()
            await soon(lambda: len(watching.seqs) == 2, "the second is there", 6)
            assert watching.seqs == seqs


async def test_a_nats_server_that_is_killed_and_restarted_loses_nothing_of_the_feed(
    settings: Settings, nats_server: NatsServer
) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with watch(address, "a") as watching:
            acked: list[int] = []

            async def post_all() -> None:
                for number in range(300):
                    batch = posted(comment("a", str(number)))
                    acked.append(await source.commit_surely("a", batch, f"post {number}"))

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(post_all())
                await soon(lambda: len(watching.texts) > 100, "a part is there")
                nats_server.kill()
                nats_server.start()
            await soon(lambda: len(watching.texts) >= 300, "everything is there")
            assert watching.texts == [str(number) for number in range(300)]
            assert watching.seqs == acked


async def test_a_fanout_that_froze_goes_on_without_a_hole(settings: Settings, nats_server: NatsServer) -> None:
    fanout = Service("fanout", settings.data_dir, nats_url=nats_server.url)
    with fanout:
        async with open_source(settings) as source:
            await source.make_stream("a")
            async with watch(fanout.address, "a") as watching:
                seqs = [await source.post("a", "before")]
                await soon(lambda: watching.seqs == seqs, "the first is there")
                fanout.signal(signal.SIGSTOP)
                seqs += await source.post_each("a", [str(number) for number in range(200)])
                fanout.signal(signal.SIGCONT)
                await soon(lambda: len(watching.seqs) >= len(seqs), "everything is there")
                assert watching.seqs == seqs
        assert fanout.stop() == 0


async def test_a_log_that_began_a_new_life_ends_the_calls_and_is_followed_from_then_on(
    settings: Settings, nats_server: NatsServer
) -> None:
    async with (
        open_source(settings) as source,
        open_line(nats_server.url) as line,
        served(fanout_settings(settings, nats_url=(line.url,))) as address,
    ):
        await source.make_stream("a")
        old = await source.post("a", "of the old log")
        async with watch(address, "a") as watching:
            await line.cut()
            await source.js.delete_stream(source.shard.name)
            async with open_source(settings) as anew:
                assert anew.shard.epoch != source.shard.epoch
                await anew.post("a", "of the new log")
                await line.mend()
                await soon(lambda: watching.ended, "the watch ends")
                assert watching.error is not None
                async with watch(address, "a", source.cursor(old)) as resumed:
                    assert not resumed.snapshot.recovered
                    assert resumed.snapshot_texts == ["of the new log"]
                    await anew.post("a", "live")
                    await soon(lambda: resumed.texts == ["live"], "the feed goes on")


async def test_a_message_that_cannot_be_read_does_not_stop_the_feed(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with watch(address, "a") as watching:
            await source.js.publish(source.shard.subject("a"), b"\xff\xff\xff")
            await source.client.publish(source.shard.live_subject("a"), b"not of the log")
            seq = await source.post("a", "good")
            await soon(lambda: watching.seqs == [seq], "the good one is there")
