"""The log is written once and in order, whatever is killed meanwhile. Real nats-server, real processes."""

import asyncio
import sqlite3
from pathlib import Path

import grpc
import httpx
import pytest
from nats.js import JetStreamContext

from livecomments.errors import Reason, Refusal
from livecomments.log import Shard, open_log
from livecomments.settings import Settings
from livecomments.v1.history_service_pb2 import ExportCommentsRequest, ListCommentsRequest
from storage.dead_letters import CURSOR_HEADER, STREAM
from storage.pull import CONSUMER
from tests.processes import NatsServer, Service
from tests.storage.broadcast import CALL_S, HOUR_MS, History, comment, deleted, ids, posted, publish, until

pytestmark = pytest.mark.anyio


async def test_the_log_is_written_once_and_in_its_order(history: History, js: JetStreamContext, shard: Shard) -> None:
    first, second = [comment(offset) for offset in (5, 5, 5)], [comment(offset) for offset in (5, 70)]
    await publish(js, shard, posted(*first))
    seq = await publish(js, shard, posted(*second))
    await history.written(seq)
    assert await history.all_of() == first + second
    exported = [
        item
        async for chunk in history.stub.ExportComments(ExportCommentsRequest(stream_id="demo"))
        for item in chunk.comments
    ]
    assert exported == first + second


async def test_a_comment_can_be_read_soon_after_it_was_committed(
    history: History, js: JetStreamContext, shard: Shard
) -> None:
    await history.written(await publish(js, shard, posted(comment(1))))
    loop = asyncio.get_running_loop()
    committed = loop.time()
    await history.written(await publish(js, shard, posted(comment(2))))
    # Far below any of the pull's own times: nothing waits for a batch to fill.
    assert loop.time() - committed < 0.9


async def test_a_deleted_comment_is_gone_and_stays_gone_when_the_log_is_written_again(
    history: History, js: JetStreamContext, shard: Shard, storage: Service, data_dir: Path
) -> None:
    kept, gone = comment(1), comment(2)
    await publish(js, shard, posted(kept, gone))
    seq = await publish(js, shard, deleted(gone.comment_id))
    await history.written(seq)
    assert await history.all_of() == [kept]
    storage.kill()
    with sqlite3.connect(data_dir / "comments.db") as database:
        database.execute("UPDATE shards SET written_seq = 0")
    database.close()
    storage.start()
    await history.written(seq)
    assert await history.all_of() == [kept]


async def test_storage_killed_in_the_middle_of_writing_loses_and_doubles_nothing(
    history: History, js: JetStreamContext, shard: Shard, storage: Service
) -> None:
    comments = [comment(offset) for offset in range(600)]

    async def commit() -> int:
        for start in range(0, len(comments), 2):
            seq = await publish(js, shard, posted(*comments[start : start + 2]))
        return seq

    async with asyncio.TaskGroup() as tasks:
        committing = tasks.create_task(commit())
        for reached in (40, 120, 200):
            await history.written(reached)
            storage.kill()
            storage.start()
    await history.written(committing.result())
    assert ids(await history.all_of()) == ids(comments)


async def test_nats_server_killed_in_the_middle_is_waited_for_and_reads_go_on(
    history: History, js: JetStreamContext, shard: Shard, nats_server: NatsServer
) -> None:
    before, after = [comment(offset) for offset in range(50)], [comment(offset) for offset in range(50, 100)]
    for item in before:
        seq = await publish(js, shard, posted(item))
    await history.written(seq)
    nats_server.kill()
    assert ids(await history.all_of()) == ids(before)
    nats_server.start()
    for item in after:
        seq = await publish(js, shard, posted(item))
    await history.written(seq)
    assert ids(await history.all_of()) == ids(before + after)


async def test_a_delivery_that_got_lost_is_fetched_again_in_its_order(
    history: History, js: JetStreamContext, shard: Shard
) -> None:
    comments = [comment(offset) for offset in range(30)]
    await history.written(await publish(js, shard, posted(comments[0])))
    stray = await js.pull_subscribe_bind(CONSUMER, stream=shard.name)
    for item in comments[1:]:
        seq = await publish(js, shard, posted(item))
    # Whatever a stranger gets of these, the writer misses.
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(_take_one(stray))
        while not taking.done():
            comments.append(comment(len(comments)))
            seq = await publish(js, shard, posted(comments[-1]))
    await history.written(seq)
    assert ids(await history.all_of()) == ids(comments)
    await stray.unsubscribe()


async def _take_one(subscription: JetStreamContext.PullSubscription) -> None:
    await subscription.fetch(1, timeout=20)


async def test_poison_goes_to_the_dead_letters_and_the_rest_goes_on(
    history: History, js: JetStreamContext, shard: Shard, storage: Service
) -> None:
    before, after = comment(1), comment(2)
    await publish(js, shard, posted(before))
    poison = await publish(js, shard, b"not an event batch")
    await history.written(await publish(js, shard, posted(after)))
    assert await history.all_of() == [before, after]
    letter = await js.get_last_msg(STREAM, "deadletter.0.demo")
    assert letter.data == b"not an event batch"
    assert letter.headers is not None
    assert letter.headers[CURSOR_HEADER] == f"{shard.epoch}-{poison}"
    async with httpx.AsyncClient() as http:
        scraped = (await http.get(f"http://{storage.metrics}/metrics")).text
    assert 'livecomments_storage_dead_letters_total{shard="0"} 1.0' in scraped
    assert "livecomments_storage_rows_written_total 2.0" in scraped


async def test_through_cursor_never_runs_ahead_of_the_rows(
    history: History, js: JetStreamContext, shard: Shard
) -> None:
    stored: list[tuple[int, str]] = []
    answers: list[tuple[int, set[str]]] = []

    async def commit() -> int:
        for offset in range(250):
            item = comment(offset)
            stored.append((await publish(js, shard, posted(item)), item.comment_id))
        return stored[-1][0]

    request = ListCommentsRequest(stream_id="demo", duration_ms=HOUR_MS, page_size=1_000)
    async with asyncio.TaskGroup() as tasks:
        committing = tasks.create_task(commit())
        while not (committing.done() and answers and answers[-1][0] >= committing.result()):
            answer = await history.stub.ListComments(request, timeout=CALL_S)
            answers.append((int(answer.through_cursor.split("-")[1]), set(ids(answer.comments))))
    assert len({through for through, _ in answers}) > 3
    for through, seen in answers:
        assert {comment_id for seq, comment_id in stored if seq <= through} <= seen


async def test_a_database_that_fails_refuses_reads_and_gets_everything_later(
    history: History, js: JetStreamContext, shard: Shard, data_dir: Path
) -> None:
    comments = [comment(offset) for offset in range(10)]
    await history.written(await publish(js, shard, posted(*comments[:5])))
    database = sqlite3.connect(data_dir / "comments.db", isolation_level=None, timeout=10)
    database.execute("ALTER TABLE comments RENAME TO away")
    for item in comments[5:]:
        seq = await publish(js, shard, posted(item))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await history.all_of()
    refusal = Refusal.from_rpc_error(refused.value)
    assert (refusal.reason, refusal.detail) == (Reason.OVERLOADED, "the database does not answer")
    assert refusal.retry_after_ms > 0
    database.execute("ALTER TABLE away RENAME TO comments")
    database.close()
    await history.written(seq)
    assert await history.all_of() == comments


async def test_a_database_that_came_back_older_gets_the_rest_of_the_log(
    history: History, js: JetStreamContext, shard: Shard, storage: Service, data_dir: Path
) -> None:
    comments = [comment(offset) for offset in range(3)]
    await history.written(await publish(js, shard, posted(comments[0])))
    files = [data_dir / name for name in ("comments.db", "comments.db-wal")]
    storage.kill()
    older = [file.read_bytes() for file in files]
    storage.start()
    for item in comments[1:]:
        seq = await publish(js, shard, posted(item))
    await history.written(seq)

    async def acknowledged() -> bool:
        floor = (await js.consumer_info(shard.name, CONSUMER)).ack_floor
        return floor is not None and floor.stream_seq == seq

    await until(acknowledged, "the writer acknowledged all")
    storage.kill()
    (data_dir / "comments.db-shm").unlink()
    for file, content in zip(files, older, strict=True):
        file.write_bytes(content)
    storage.start()
    await history.written(seq)
    assert await history.all_of() == comments


async def test_a_log_with_a_new_epoch_is_written_from_its_beginning_beside_the_old_rows(
    history: History, js: JetStreamContext, shard: Shard, settings: Settings, storage: Service
) -> None:
    old, new = [comment(offset) for offset in range(3)], [comment(offset) for offset in (10, 11)]
    for item in old:
        seq = await publish(js, shard, posted(item))
    await history.written(seq)
    await js.delete_stream(shard.name)
    renewed = (await open_log(js, settings)).shards[0]
    await publish(js, renewed, posted(new[0]))
    last = await publish(js, renewed, posted(new[1]))

    async def in_the_new_log() -> bool:
        through = await history.through()
        return (through.epoch, through.seq) == (renewed.epoch, last)

    await until(in_the_new_log, "written in the new epoch")
    assert await history.all_of() == old + new
    assert "the log has a new epoch" in storage.output.read_text()
