"""Poison never stops the writer and never vanishes, whatever becomes of the dead letters' stream."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RawStreamMsg, StreamConfig

from livecomments.log import open_log
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import EventBatch
from storage.dead_letters import CURSOR_HEADER, PART_HEADER, REASON_HEADER, STREAM, DeadLetters
from storage.lag import Lag
from storage.letters import Letter, LetterBox
from storage.sqlite import SqliteStore, open_sqlite
from storage.store import FIRST, LAST
from storage.writer import Writer
from tests.storage.broadcast import comment_at, posted, until

pytestmark = pytest.mark.anyio


@dataclass
class Scene:
    """A log, and a writer that may be started."""

    client: Client
    settings: Settings
    store: SqliteStore
    folder: Path

    def __post_init__(self) -> None:
        self.js = self.client.jetstream()
        self.box = LetterBox(self.folder)

    async def commit(self, *messages: bytes | EventBatch, stream_id: str = "demo") -> int:
        """Publishes messages; returns the last one's sequence."""
        shard = (await open_log(self.js, self.settings)).shards[0]
        for message in messages:
            data = message if isinstance(message, bytes) else message.SerializeToString()
            seq = (await self.js.publish(shard.subject(stream_id), data)).seq
        return seq

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[DeadLetters]:
        letters = DeadLetters(self.client, 1, self.folder)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(Writer(self.client, self.store, letters, 0, Lag()).run())
            yield letters
            task.cancel()

    async def written(self, seq: int) -> list[str]:
        """The texts that are stored once the database holds the log through ``seq``."""

        async def reached() -> bool:
            position = await self.store.position(0)
            return position is not None and position.seq >= seq

        await until(reached, f"written through {seq}")
        return [row.comment.text for row in (await self.store.window(0, "demo", FIRST, LAST.offset_ms, 100)).comments]

    async def letters(self) -> list[RawStreamMsg]:
        """All that is in the stream."""
        info = await self.js.stream_info(STREAM)
        return [await self.js.get_msg(STREAM, seq) for seq in range(info.state.first_seq, info.state.last_seq + 1)]


@pytest.fixture
async def scene(client: Client, settings: Settings, data_dir: Path) -> AsyncIterator[Scene]:
    async with open_sqlite(data_dir / "comments.db") as store:
        yield Scene(client, settings, store, data_dir / "dead-letters")


def said(text: str, offset_ms: int = 1) -> EventBatch:
    comment = comment_at(offset_ms, "demo")
    comment.text = text
    return posted(comment)


async def test_poison_in_the_middle_of_a_batch_is_all_that_is_missing(scene: Scene) -> None:
    foreign = posted(comment_at(2, "another"))
    far = comment_at(3, "demo")
    far.offset_ms = -(2**62)
    last = await scene.commit(said("first"), b"\xff", foreign, posted(far), said("last", 4))
    async with scene.writing():
        assert await scene.written(last) == ["first", "last"]
    letters = await scene.letters()
    assert [letter.data for letter in letters] == [
        b"\xff",
        foreign.SerializeToString(),
        posted(far).SerializeToString(),
    ]
    reasons = [(letter.headers or {})[REASON_HEADER] for letter in letters]
    assert "of the stream 'another'" in reasons[1]
    assert "offset_ms" in reasons[2]


async def test_a_stream_id_that_no_core_would_take_is_poison(scene: Scene) -> None:
    seq = await scene.commit(said("lost"), stream_id="d\u00e9mo")
    async with scene.writing():
        assert await scene.written(seq) == []
    assert [letter.subject for letter in await scene.letters()] == ["deadletter.0.d\u00e9mo"]


async def test_poison_that_fills_a_message_comes_in_parts(scene: Scene) -> None:
    largest = b"\xff" * scene.client.max_payload
    seq = await scene.commit(largest, said("next"))
    async with scene.writing():
        assert await scene.written(seq) == ["next"]
    letters = await scene.letters()
    assert [(letter.headers or {})[PART_HEADER] for letter in letters] == ["1/2", "2/2"]
    assert b"".join(letter.data or b"" for letter in letters) == largest


async def test_what_a_full_stream_does_not_take_waits_in_files_and_is_posted_later(scene: Scene) -> None:
    config = StreamConfig(name=STREAM, subjects=["deadletter.*.*"], discard=DiscardPolicy.NEW, max_bytes=1_000)
    await scene.js.add_stream(config)
    poison = [b"\xff" * 300, b"\xff" * 1_200, b"\xff" * 301]
    seq = await scene.commit(said("first"), *poison, said("last", 2))
    async with scene.writing() as letters:
        assert await scene.written(seq) == ["first", "last"]
        assert [letter.data for letter in await scene.letters()] == poison[:1]
        waiting = [LetterBox(scene.folder).read(path) for path in LetterBox(scene.folder).paths()]
        assert [letter.data for letter in waiting] == poison[1:]
        await scene.js.update_stream(config.evolve(max_bytes=100_000))
        async with asyncio.TaskGroup() as tasks:
            posting = tasks.create_task(letters.run())

            async def all_posted() -> bool:
                return not LetterBox(scene.folder).paths()

            await until(all_posted, "the files are posted")
            posting.cancel()
    found = await scene.letters()
    assert [letter.data for letter in found] == poison
    epoch = (await open_log(scene.js, scene.settings)).shards[0].epoch
    assert [(letter.headers or {})[CURSOR_HEADER] for letter in found] == [f"{epoch}-{seq}" for seq in (2, 3, 4)]


async def test_a_row_that_the_database_never_takes_is_a_dead_letter_and_its_neighbours_are_not(
    scene: Scene, data_dir: Path
) -> None:
    database = sqlite3.connect(data_dir / "comments.db", isolation_level=None, timeout=10)
    database.execute(
        "CREATE TRIGGER curse BEFORE INSERT ON comments WHEN new.text = 'cursed' BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    database.close()
    cursed = said("cursed", 2)
    seq = await scene.commit(said("first"), cursed, said("last", 3))
    async with scene.writing():
        assert await scene.written(seq) == ["first", "last"]
    (letter,) = await scene.letters()
    assert letter.data == cursed.SerializeToString()


def test_a_letter_in_a_file_comes_back_whole_and_once(tmp_path: Path) -> None:
    letter = Letter(3, "e1-77", "demo", "no EventBatch", b"\n\x00{}\xff\n")
    box = LetterBox(tmp_path / "box")
    for _ in range(2):
        box.put(letter)
    (path,) = box.paths()
    assert box.count == LetterBox(tmp_path / "box").count == 1
    assert box.read(path) == letter
    box.remove(path)
    assert (box.count, box.paths()) == (0, [])
