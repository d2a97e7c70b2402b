"""``livecomments storage rewind``: a database that lost its last rows gets them back out of the log."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from nats.aio.client import Client

from livecomments.cursor import Cursor
from livecomments.log import open_log
from livecomments.settings import Settings
from storage.rewind import rewind_to
from storage.sqlite import open_sqlite
from storage.store import Batch
from tests.cli.terminal import Shown, livecomments
from tests.processes import NatsServer
from tests.storage.broadcast import Broadcast, until

pytestmark = pytest.mark.anyio


async def test_lost_rows_come_back_while_storage_runs_and_deleted_ones_stay_gone(
    broadcast: Broadcast, nats_server: NatsServer, data_dir: Path
) -> None:
    async def rewind(*options: str) -> Shown:
        env = {"LIVECOMMENTS_NATS_URL": nats_server.url}
        return await asyncio.to_thread(livecomments, "storage", "rewind", "--data", data_dir, *options, env=env)

    comments = broadcast.comments(0, 1, 2, 3)
    await broadcast.post_each(comments)
    seq = await broadcast.delete(comments[2])
    await broadcast.written(seq)
    kept = [comments[0], comments[1], comments[3]]
    assert await broadcast.replay() == kept
    for option in ("--after=1", "--hours=1"):
        database = sqlite3.connect(data_dir / "comments.db", isolation_level=None, timeout=10)
        database.execute("DELETE FROM comments WHERE offset_ms >= 1")
        database.close()
        assert await broadcast.replay() == kept[:1]
        shown = await rewind(option)
        assert (shown.code, shown.err) == (0, ""), shown
        first = 2 if option == "--after=1" else 1
        count = f"{seq - first + 1} messages"
        assert shown.out == f"shard 0: was written through {seq}; is written again from {first} on: {count}\n"

        async def all_back() -> bool:
            return await broadcast.replay() == kept

        await until(all_back, "the lost rows are back")
    assert (await rewind(f"--after={seq + 4}")).out == f"shard 0: stays at {seq}: a rewind never goes forward\n"
    assert (await rewind("--shard=7")).out == "shard 7: there is no such shard in the log\n"


async def test_only_what_the_log_still_holds_comes_again(client: Client, settings: Settings, data_dir: Path) -> None:
    js = client.jetstream()
    shard = (await open_log(js, settings)).shards[0]
    for _ in range(6):
        await js.publish(shard.subject("demo"), b"")
    async with open_sqlite(data_dir / "comments.db") as store:
        assert "nothing of this log was ever written" in await rewind_to(js, store, 0, 0)
        await store.adopt(0, shard.epoch)
        await store.apply(Batch(0, shard.epoch, 0, 6))
        await js.purge_stream(shard.name, seq=4)
        said = await rewind_to(js, store, 0, 2)
        assert said.endswith("is written again from 4 on: 3 messages (the log begins at 4)")
        assert await store.position(0) == Cursor(shard.epoch, 2)
        assert "stays at 2" in await rewind_to(js, store, 0, timedelta(0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--after", "1", "--hours", "1"), "give --after or --hours, not both"),
        (("--data", "nowhere"), "no instance runs on nowhere"),
    ],
)
def test_a_rewind_that_cannot_be_is_one_line(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    shown = livecomments("storage", "rewind", *options, cwd=tmp_path)
    assert (shown.code, shown.out) == (2, "")
    assert len(shown.err.splitlines()) == 1
    assert said in shown.err


def test_the_service_itself_is_still_what_the_bare_command_runs(tmp_path: Path) -> None:
    shown = livecomments("storage", env={"LIVECOMMENTS_LOG_HOURS": "0"}, cwd=tmp_path)
    assert shown.code == 2
    assert "LIVECOMMENTS_LOG_HOURS" in shown.err
