"""Trimming the log, and writing it once more."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from livecomments.cursor import Cursor
from livecomments.log import Shard, open_log
from livecomments.settings import Settings
from storage.dead_letters import DeadLetters
from storage.lag import Lag
from storage.pull import CONSUMER
from storage.rewind import rewind
from storage.sqlite import SqliteStore, open_sqlite
from storage.store import FIRST, LAST, Batch
from storage.trim import make_room, trim
from storage.watch import Keep, LogWatch
from storage.writer import Writer
from tests.storage.broadcast import comment_at, posted, until

pytestmark = pytest.mark.anyio

DISTANT = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def js(client: Client) -> JetStreamContext:
    return client.jetstream()


@pytest.fixture
async def shard(js: JetStreamContext, settings: Settings) -> Shard:
    """A log of six messages."""
    shard = (await open_log(js, settings)).shards[0]
    for offset_ms in range(6):
        await js.publish(shard.subject("demo"), posted(comment_at(offset_ms, "demo")).SerializeToString())
    return shard


@pytest.fixture
async def store(data_dir: Path) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(data_dir / "comments.db") as store:
        yield store


async def first_seq(js: JetStreamContext, shard: Shard) -> int:
    seq: int = (await js.stream_info(shard.name)).state.first_seq
    return seq


async def test_trimming_never_passes_what_is_written(js: JetStreamContext, shard: Shard, store: SqliteStore) -> None:
    assert await trim(js, store, 0, DISTANT) == 0
    await store.adopt(0, shard.epoch)
    assert await trim(js, store, 0, DISTANT) == 0
    await store.apply(Batch(0, shard.epoch, 0, 4))
    assert await trim(js, store, 0, DISTANT) == 4
    assert await first_seq(js, shard) == 5
    assert await trim(js, store, 0, DISTANT) == 0


async def test_trimming_keeps_what_is_young(js: JetStreamContext, shard: Shard, store: SqliteStore) -> None:
    await store.adopt(0, shard.epoch)
    await store.apply(Batch(0, shard.epoch, 0, 6))
    moment = (await js.get_msg(shard.name, seq=3)).time
    assert moment is not None
    assert await trim(js, store, 0, moment - timedelta(days=1)) == 0
    assert await trim(js, store, 0, moment) == 2
    assert await first_seq(js, shard) == 3


async def test_a_log_that_is_nearly_full_makes_room_of_what_is_written_and_not_too_young(
    js: JetStreamContext, shard: Shard, store: SqliteStore
) -> None:
    async def make_room_in(max_bytes: int, older_than: datetime) -> int:
        info = await js.stream_info(shard.name)
        info.config.max_bytes = max_bytes
        return await make_room(js, store, 0, older_than, info)

    await store.adopt(0, shard.epoch)
    assert await make_room_in(1024 * 1024, DISTANT) == 0
    await store.apply(Batch(0, shard.epoch, 0, 5))
    assert await make_room_in(1024**3, DISTANT) == 0
    young = (await js.get_msg(shard.name, seq=4)).time
    assert young is not None
    assert await make_room_in(1024 * 1024, young) == 3
    assert await make_room_in(1024 * 1024, DISTANT) == 2
    assert await first_seq(js, shard) == 6


async def test_a_storage_at_work_trims_what_is_written_and_older_than_it_is_to_be_kept(
    js: JetStreamContext, shard: Shard, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.watch._TRIM_EVERY_S", 0.2)
    monkeypatch.setattr("storage.watch._LOOK_EVERY_S", 0.05)

    async def trimmed_to(seq: int) -> None:
        async def is_trimmed() -> bool:
            return await first_seq(js, shard) == seq

        await until(is_trimmed, f"the log begins with {seq}")

    await store.adopt(0, shard.epoch)
    await store.apply(Batch(0, shard.epoch, 0, 3))
    async with asyncio.TaskGroup() as tasks:
        # All are old by then, but three of them are written.
        watching = tasks.create_task(LogWatch(js, store, 1, Keep(timedelta(0), timedelta(0))).run())
        await trimmed_to(4)
        await store.apply(Batch(0, shard.epoch, 3, 6))
        await trimmed_to(7)
        watching.cancel()
    for offset_ms in range(2):
        await js.publish(shard.subject("demo"), posted(comment_at(offset_ms, "demo")).SerializeToString())
    await store.apply(Batch(0, shard.epoch, 6, 8))
    looks = _counted_trims(monkeypatch)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(LogWatch(js, store, 1, Keep(timedelta(hours=1), timedelta(0))).run())

        async def has_looked() -> bool:
            return len(looks) > 1

        await until(has_looked, "it has looked for what is old")
        watching.cancel()
    assert looks == [0] * len(looks), "what is young stays"
    assert await first_seq(js, shard) == 7


def _counted_trims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages went with each trimming from now on."""
    counts: list[int] = []

    async def counted(js: JetStreamContext, store: SqliteStore, shard: int, older_than: datetime) -> int:
        counts.append(await trim(js, store, shard, older_than))
        return counts[-1]

    monkeypatch.setattr("storage.watch.trim", counted)
    return counts


async def test_a_log_that_the_database_knows_under_another_epoch_is_not_trimmed(
    js: JetStreamContext, shard: Shard, store: SqliteStore
) -> None:
    await store.adopt(0, "another")
    await store.apply(Batch(0, "another", 0, 6))
    assert await trim(js, store, 0, DISTANT) == 0
    assert await first_seq(js, shard) == 1


async def test_a_log_trimmed_to_nothing_goes_on_with_its_numbers(
    js: JetStreamContext, shard: Shard, store: SqliteStore
) -> None:
    await store.adopt(0, shard.epoch)
    await store.apply(Batch(0, shard.epoch, 0, 6))
    assert await trim(js, store, 0, DISTANT) == 6
    assert (await js.publish(shard.subject("demo"), b"")).seq == 7


async def test_a_rewind_brings_lost_rows_back_while_the_writer_runs(
    client: Client, js: JetStreamContext, shard: Shard, store: SqliteStore, data_dir: Path
) -> None:
    await _write_all(client, store, shard, data_dir)
    before = (await store.window(0, "demo", FIRST, LAST.offset_ms, 10)).comments
    assert len(before) == 6
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(Writer(client, store, DeadLetters(client, 1, data_dir / "letters"), 0, Lag()).run())

        async def pulling() -> bool:
            return bool((await js.consumer_info(shard.name, CONSUMER)).num_waiting)

        await until(pulling, "the writer waits for more")
        database = sqlite3.connect(data_dir / "comments.db", isolation_level=None, timeout=10)
        database.execute("DELETE FROM comments WHERE offset_ms >= 2")
        database.close()
        await rewind(js, store, 0)

        async def back() -> bool:
            return (await store.position(0)) == Cursor(shard.epoch, 6)

        await until(back, "written again")
        writing.cancel()
    assert (await store.window(0, "demo", FIRST, LAST.offset_ms, 10)).comments == before


async def test_a_log_that_came_back_shorter_is_written_again(
    client: Client, shard: Shard, store: SqliteStore, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.writer.STALE_S", 0.1)
    await store.adopt(0, shard.epoch)
    await store.apply(Batch(0, shard.epoch, 0, 100))
    await _write_all(client, store, shard, data_dir)
    assert len((await store.window(0, "demo", FIRST, LAST.offset_ms, 10)).comments) == 6


async def test_a_log_that_is_said_to_be_shorter_by_an_old_leader_is_not_written_again(
    client: Client,
    shard: Shard,
    store: SqliteStore,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[str] = []
    stream_info = JetStreamContext.stream_info

    async def counted(self: JetStreamContext, name: str) -> StreamInfo:
        looks.append(name)
        return await stream_info(self, name)

    monkeypatch.setattr(JetStreamContext, "stream_info", counted)
    await store.adopt(0, shard.epoch)
    await store.apply(Batch(0, shard.epoch, 0, 7))
    writer = Writer(client, store, DeadLetters(client, 1, data_dir / "letters"), 0, Lag())
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(writer.run())

        async def asked_again() -> bool:
            return len(looks) > 1

        await until(asked_again, "the writer asks again")
        assert await store.position(0) == Cursor(shard.epoch, 7)
        for offset_ms in (6, 7):
            await client.jetstream().publish(
                shard.subject("demo"), posted(comment_at(offset_ms, "demo")).SerializeToString()
            )

        async def written() -> bool:
            return (await store.position(0)) == Cursor(shard.epoch, 8)

        await until(written, "it goes on behind what was written")
        writing.cancel()
    comments = (await store.window(0, "demo", FIRST, LAST.offset_ms, 10)).comments
    assert [comment.place.seq for comment in comments] == [8]


async def test_a_database_that_comes_late_gets_what_the_log_still_has(
    client: Client, js: JetStreamContext, shard: Shard, store: SqliteStore, data_dir: Path
) -> None:
    await js.purge_stream(shard.name, seq=4)
    await _write_all(client, store, shard, data_dir)
    comments = (await store.window(0, "demo", FIRST, LAST.offset_ms, 10)).comments
    assert [comment.place.seq for comment in comments] == [4, 5, 6]


async def _write_all(client: Client, store: SqliteStore, shard: Shard, data_dir: Path) -> None:
    async def written() -> bool:
        return (await store.position(0)) == Cursor(shard.epoch, 6)

    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(Writer(client, store, DeadLetters(client, 1, data_dir / "letters"), 0, Lag()).run())
        await until(written, "the log is written")
        writing.cancel()
