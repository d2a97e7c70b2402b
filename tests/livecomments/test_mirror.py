"""The mirror of a key-value bucket, against a real nats-server."""

import asyncio
from dataclasses import replace

import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo

from livecomments.log import connect, open_log
from livecomments.mirror import mirror, open_bucket
from livecomments.settings import Settings
from tests.processes import NatsServer

pytestmark = pytest.mark.anyio


async def test_a_mirror_begins_with_what_the_bucket_held_and_hears_each_change(settings: Settings) -> None:
    held: dict[str, bytes | None] = {}
    changed = asyncio.Event()

    def apply(key: str, value: bytes | None, _revision: int) -> None:
        held[key] = value
        changed.set()

    async with connect(settings, "test") as client:
        bucket = await open_bucket(client, "things", 1)
        await bucket.put("a", b"1")
        await bucket.put("b", b"2")
        async with mirror(client, "things", 1, apply):
            assert held == {"a": b"1", "b": b"2"}
            changed.clear()
            await bucket.delete("a")
            await asyncio.wait_for(changed.wait(), 5)
            assert held == {"a": None, "b": b"2"}


async def test_a_mirror_asks_for_what_it_did_not_hear(settings: Settings, nats_server: NatsServer) -> None:
    held: dict[str, bytes | None] = {}
    async with connect(settings, "mirroring") as client:
        await open_bucket(client, "things", 1)
        async with mirror(client, "things", 1, lambda key, value, _: held.update({key: value})) as view:
            # While this runs, the mirror's loop stands still: it hears neither the end of the server nor the change.
            nats_server.kill()
            nats_server.start()
            await asyncio.to_thread(asyncio.run, _put(settings, "b", b"2"))
            await view.sync(10)
            assert held == {"b": b"2"}


async def _put(settings: Settings, key: str, value: bytes) -> None:
    async with connect(settings, "writing") as client:
        await (await open_bucket(client, "things", 1)).put(key, value)


async def test_the_log_is_made_once_and_keeps_its_epoch(settings: Settings) -> None:
    async with connect(settings, "one") as one, connect(settings, "two") as two:
        first, second = await asyncio.gather(open_log(one.jetstream(), settings), open_log(two.jetstream(), settings))
        assert first == second
        assert (await open_log(one.jetstream(), settings)).shards[0].epoch == first.shards[0].epoch


async def test_a_mirror_asks_again_where_its_consumer_is_behind_the_bucket(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a server of a cluster that was away: it holds nothing yet of what the leader told."""
    held: dict[str, bytes | None] = {}
    add_consumer = JetStreamContext.add_consumer
    pending: list[int | None] = []

    async def behind_at_first(self: JetStreamContext, *arguments: object, **more: object) -> ConsumerInfo:
        created = await add_consumer(self, *arguments, **more)  # type: ignore[arg-type]
        pending.append(created.num_pending)
        return replace(created, num_pending=0) if len(pending) == 1 else created

    async with connect(settings, "test") as client:
        await (await open_bucket(client, "things", 1)).put("a", b"1")
        monkeypatch.setattr(JetStreamContext, "add_consumer", behind_at_first)
        async with mirror(client, "things", 1, lambda key, value, _: held.update({key: value})):
            assert held == {"a": b"1"}
    assert pending == [1, 1]


async def test_a_mirror_does_not_wait_for_what_was_purged(settings: Settings) -> None:
    held: dict[str, bytes | None] = {}
    async with connect(settings, "test") as client:
        bucket = await open_bucket(client, "things", 1)
        await bucket.put("a", b"1")
        await bucket.put("b", b"2")
        await client.jetstream().purge_stream("KV_things", subject="$KV.things.b")
        async with mirror(client, "things", 1, lambda key, value, _: held.update({key: value})):
            assert held == {"a": b"1"}
