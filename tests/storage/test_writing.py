"""The log is written once and in order, whatever is killed meanwhile. Real nats-server, real storage processes."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from livecomments.errors import Reason
from livecomments.log import open_log
from livecomments.settings import Settings
from storage.dead_letters import CURSOR_HEADER, STREAM
from storage.pull import CONSUMER
from tests.processes import NatsServer, Service
from tests.storage.broadcast import Broadcast, refusal_of, until

pytestmark = pytest.mark.anyio


async def test_what_is_committed_is_written_once_in_the_logs_order_and_soon(broadcast: Broadcast) -> None:
    first = await broadcast.window()
    assert first.through_cursor == f"{broadcast.shard.epoch}-0"
    assert not first.comments
    comments = broadcast.comments(5, 5, 5, 5, 70)
    await broadcast.written(await broadcast.post(*comments[:3]))
    started = asyncio.get_running_loop().time()
    await broadcast.written(await broadcast.post(*comments[3:]))
    # Far below any of the pull's own times: nothing waits for a batch to fill.
    assert asyncio.get_running_loop().time() - started < 0.9
    assert await broadcast.replay() == comments


async def test_a_deleted_comment_stays_gone_when_the_log_is_written_again(
    broadcast: Broadcast, storage: Service, data_dir: Path
) -> None:
    kept, gone = broadcast.comments(1, 2)
    await broadcast.post(kept, gone)
    seq = await broadcast.delete(gone)
    await broadcast.written(seq)
    assert await broadcast.replay() == [kept]
    storage.kill()
    database = sqlite3.connect(data_dir / "comments.db", isolation_level=None)
    database.execute("UPDATE shards SET written_seq = 0")
    database.close()
    storage.start()
    await broadcast.written(seq)
    assert await broadcast.replay() == [kept]


async def test_storage_killed_in_the_middle_of_writing_loses_and_doubles_nothing(
    broadcast: Broadcast, storage: Service
) -> None:
    comments = broadcast.comments(*range(600))

    async def commit() -> int:
        for start in range(0, len(comments), 2):
            seq = await broadcast.post(*comments[start : start + 2])
        return seq

    async with asyncio.TaskGroup() as tasks:
        committing = tasks.create_task(commit())
        for reached in (20, 90):
            await broadcast.written(reached)
            storage.kill()
            storage.start()
    await broadcast.written(committing.result())
    assert await broadcast.replay() == comments


async def test_nats_server_killed_in_the_middle_is_waited_for_and_reads_go_on(
    broadcast: Broadcast, nats_server: NatsServer
) -> None:
    comments = broadcast.comments(*range(100))
    await broadcast.written(await broadcast.post_each(comments[:50]))
    nats_server.kill()
    assert await broadcast.replay() == comments[:50]
    nats_server.start()
    await broadcast.written(await broadcast.post_each(comments[50:]))
    assert await broadcast.replay() == comments


async def test_a_delivery_that_went_elsewhere_is_fetched_again_in_its_order(
    broadcast: Broadcast, storage: Service
) -> None:
    comments = broadcast.comments(0)
    await broadcast.written(await broadcast.post(*comments))
    async with stranger_takes_one(broadcast) as taking:
        while not taking.done():
            comments += broadcast.comments(len(comments))
            seq = await broadcast.post(comments[-1])
    await broadcast.written(seq)
    assert await broadcast.replay() == comments
    assert "did not arrive" in storage.output.read_text()


async def test_a_last_delivery_that_went_elsewhere_is_missed_too(broadcast: Broadcast, storage: Service) -> None:
    comments = broadcast.comments(0)
    await broadcast.written(await broadcast.post(*comments))
    async with stranger_takes_one(broadcast) as taking:
        while not taking.done():
            comments += broadcast.comments(len(comments))
            seq = await broadcast.post(comments[-1])

            async def arrived(seq: int = seq) -> bool:
                return taking.done() or (await broadcast.through()).seq >= seq

            await until(arrived, "the message went to the writer or the stranger")
    await broadcast.written(seq)
    assert await broadcast.replay() == comments
    assert "did not arrive" in storage.output.read_text()


@asynccontextmanager
async def stranger_takes_one(broadcast: Broadcast) -> AsyncIterator[asyncio.Task[object]]:
    """Someone else pulls a message from the writer's consumer: lost to the writer, as in a reconnect."""
    stranger = await broadcast.js.pull_subscribe_bind(CONSUMER, stream=broadcast.shard.name)
    async with asyncio.TaskGroup() as tasks:
        yield tasks.create_task(stranger.fetch(1, timeout=20))
    await stranger.unsubscribe()


async def test_poison_goes_to_the_dead_letters_and_the_rest_goes_on(broadcast: Broadcast, storage: Service) -> None:
    comments = broadcast.comments(1, 2)
    await broadcast.post(comments[0])
    poison = await broadcast.commit(b"not an event batch")
    await broadcast.written(await broadcast.post(comments[1]))
    assert await broadcast.replay() == comments
    letter = await broadcast.js.get_last_msg(STREAM, f"deadletter.0.{broadcast.stream_id}")
    assert letter.data == b"not an event batch"
    assert letter.headers is not None
    assert letter.headers[CURSOR_HEADER] == f"{broadcast.shard.epoch}-{poison}"
    async with httpx.AsyncClient() as http:
        scraped = (await http.get(f"http://{storage.metrics}/metrics")).text
    assert 'livecomments_storage_dead_letters_total{shard="0"} 1.0' in scraped
    assert "livecomments_storage_rows_written_total 2.0" in scraped


async def test_a_database_that_fails_refuses_reads_and_gets_everything_later(
    broadcast: Broadcast, data_dir: Path
) -> None:
    comments = broadcast.comments(*range(10))
    await broadcast.written(await broadcast.post(*comments[:5]))
    database = sqlite3.connect(data_dir / "comments.db", isolation_level=None, timeout=10)
    database.execute("ALTER TABLE comments RENAME TO away")
    seq = await broadcast.post_each(comments[5:])
    for call in (broadcast.window(), broadcast.recent(), broadcast.get(comments[0].comment_id), broadcast.export()):
        refusal = await refusal_of(call)
        assert (refusal.reason, refusal.detail) == (Reason.OVERLOADED, "the database does not answer")
        assert refusal.retry_after_ms > 0
    database.execute("ALTER TABLE away RENAME TO comments")
    database.close()
    await broadcast.written(seq)
    assert await broadcast.replay() == comments


async def test_a_full_disk_is_waited_for(broadcast: Broadcast, storage: Service, data_dir: Path) -> None:
    comments = broadcast.comments(*range(100))
    await broadcast.written(await broadcast.post(*comments[:50]))
    assert storage.popen is not None
    size = (data_dir / "comments.db-wal").stat().st_size
    unlimited = resource.prlimit(storage.popen.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    seq = await broadcast.post(*comments[50:])

    async def refused() -> bool:
        return "the database did not take a batch" in storage.output.read_text()

    await until(refused, "the writer met the full disk")
    assert await broadcast.replay() == comments[:50]
    resource.prlimit(storage.popen.pid, resource.RLIMIT_FSIZE, unlimited)
    await broadcast.written(seq)
    assert await broadcast.replay() == comments


async def test_a_database_that_came_back_older_gets_the_rest_of_the_log(
    broadcast: Broadcast, storage: Service, data_dir: Path
) -> None:
    comments = broadcast.comments(0, 1, 2)
    await broadcast.written(await broadcast.post(comments[0]))
    storage.kill()
    files = [data_dir / name for name in ("comments.db", "comments.db-wal")]
    older = [file.read_bytes() for file in files]
    storage.start()
    seq = await broadcast.post_each(comments[1:])
    await broadcast.written(seq)

    async def acknowledged() -> bool:
        floor = (await broadcast.js.consumer_info(broadcast.shard.name, CONSUMER)).ack_floor
        return floor is not None and floor.stream_seq == seq

    await until(acknowledged, "the writer acknowledged all")
    storage.kill()
    (data_dir / "comments.db-shm").unlink()
    for file, content in zip(files, older, strict=True):
        file.write_bytes(content)
    storage.start()
    await broadcast.written(seq)
    assert await broadcast.replay() == comments


async def test_a_log_with_a_new_epoch_is_written_from_its_beginning_beside_the_old_rows(
    broadcast: Broadcast, settings: Settings, storage: Service
) -> None:
    comments = broadcast.comments(0, 1, 2, 10, 11)
    await broadcast.written(await broadcast.post_each(comments[:3]))
    await broadcast.js.delete_stream(broadcast.shard.name)
    broadcast.shard = (await open_log(broadcast.js, settings)).shards[0]
    last = await broadcast.post_each(comments[3:])

    async def in_the_new_log() -> bool:
        through = await broadcast.through()
        return (through.epoch, through.seq) == (broadcast.shard.epoch, last)

    await until(in_the_new_log, "written in the new epoch")
    assert await broadcast.replay() == comments
    assert "the log has a new epoch" in storage.output.read_text()


async def test_a_storage_that_is_told_to_stop_ends_cleanly(broadcast: Broadcast, storage: Service) -> None:
    await broadcast.window()
    assert storage.stop() == 0
