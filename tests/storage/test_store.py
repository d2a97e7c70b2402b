"""The contract of a store, held by each."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livecomments.cursor import Cursor
from livecomments.v1.comment_pb2 import Comment, EventBatch
from storage.batches import LogMessage, batch_of
from storage.cql.opening import open_cql
from storage.sqlite import open_sqlite
from storage.store import FIRST, LAST, Batch, OutOfStep, Place, Store, StoredComment
from tests.storage.broadcast import STARTED_AT_MS, comment_at, comment_id_at, deleted, ended, posted

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]  # a CQL server is started by the first

Open = Callable[[], AbstractAsyncContextManager[Store]]

_shards = count()
"""Each example of a property test takes a shard and a stream of its own."""


def sqlite(request: pytest.FixtureRequest) -> Open:
    file = request.getfixturevalue("tmp_path") / "comments.db"
    return lambda: open_sqlite(file)


def cql(request: pytest.FixtureRequest) -> Open:
    keyspace = request.getfixturevalue("empty_keyspace")
    return lambda: open_cql(keyspace, retention_s=0)


@pytest.fixture(params=(sqlite, cql))
def open_store(request: pytest.FixtureRequest) -> Open:
    """Opens the same database each time; it is empty at first."""
    opening: Open = request.param(request)
    return opening


@pytest.fixture
async def store(open_store: Open) -> AsyncIterator[Store]:
    async with open_store() as store:
        await store.adopt(0, "e1")
        yield store


class Log:
    """Messages of one stream, numbered as a log numbers them."""

    def __init__(self, *batches: EventBatch, shard: int = 0, epoch: str = "e1") -> None:
        self.shard, self.epoch, self.stream_id = shard, epoch, f"demo{shard}"
        self.messages = [
            LogMessage(self.stream_id, seq, data.SerializeToString()) for seq, data in enumerate(batches, 1)
        ]

    def batch(self, after_seq: int, through_seq: int) -> Batch:
        batch, poisons = batch_of(self.shard, Cursor(self.epoch, after_seq), self.messages[after_seq:through_seq])
        assert not poisons
        return batch

    @property
    def all(self) -> Batch:
        return self.batch(0, len(self.messages))


async def everything(store: Store, shard: int = 0) -> list[Comment]:
    """All of the shard's stream."""
    page = await store.window(shard, f"demo{shard}", FIRST, LAST.offset_ms, 1_000)
    assert not page.more
    return [row.comment for row in page.comments]


def comments(*offsets_ms: int, stream_id: str = "demo0") -> list[Comment]:
    return [comment_at(offset_ms, stream_id) for offset_ms in offsets_ms]


async def test_a_batch_is_there_whole_with_the_position_behind_it(store: Store) -> None:
    written = comments(1, 1, 4)
    log = Log(posted(*written[:2]), posted(written[2]))
    assert await store.apply(log.all) == 3
    assert await everything(store) == written
    assert await store.position(0) == Cursor("e1", 2)
    page = await store.window(0, "demo0", FIRST, 5, 10)
    assert (page.through, page.ended) == (Cursor("e1", 2), False)


async def test_what_was_written_is_there_after_the_store_was_opened_again(
    open_store: Open,
) -> None:
    written = comments(1, 2)
    async with open_store() as store:
        await store.adopt(0, "e1")
        await store.apply(Log(posted(*written)).all)
    async with open_store() as store:
        assert await everything(store) == written
        assert await store.adopt(0, "e1") == Cursor("e1", 1)


async def test_a_batch_that_comes_again_changes_nothing(store: Store) -> None:
    written = comments(1, 2, 3)
    log = Log(*(posted(comment) for comment in written))
    assert await store.apply(log.batch(0, 2)) == 2
    assert await store.apply(log.batch(0, 2)) == 0
    assert await store.apply(log.batch(1, 3)) == 1
    assert await everything(store) == written
    assert await store.apply(log.batch(0, 1)) == 0
    assert await store.position(0) == Cursor("e1", 3)


async def test_a_batch_that_would_leave_a_hole_is_refused_and_changes_nothing(store: Store) -> None:
    log = Log(*(posted(comment) for comment in comments(1, 2, 3)))
    await store.apply(log.batch(0, 1))
    for batch in (log.batch(2, 3), Log(posted(*comments(9)), epoch="e2").all, Log(posted(), shard=7).all):
        with pytest.raises(OutOfStep):
            await store.apply(batch)
    assert len(await everything(store)) == 1
    assert await store.position(0) == Cursor("e1", 1)


async def test_a_shard_that_was_never_adopted_has_no_position(store: Store) -> None:
    assert await store.position(5) is None
    assert (await store.window(5, "demo0", FIRST, 1, 1)).through is None
    assert (await store.recent(5, "demo0", LAST, 1)).through is None


async def test_a_new_epoch_starts_at_its_beginning_beside_the_old_rows(store: Store) -> None:
    old, new = comments(1, 2), comments(3)
    await store.apply(Log(*(posted(comment) for comment in old)).all)
    assert await store.adopt(0, "e2") == Cursor("e2", 0)
    await store.apply(Log(posted(*new), epoch="e2").all)
    assert await everything(store) == old + new
    assert await store.adopt(0, "e2") == Cursor("e2", 1)


async def test_a_rewound_log_is_applied_again_without_reviving_what_was_deleted(store: Store) -> None:
    kept, gone = comments(1, 2)
    log = Log(posted(kept, gone), deleted(gone))
    await store.apply(log.all)
    await store.rewind(0, 0)
    assert await store.position(0) == Cursor("e1", 0)
    await store.apply(log.batch(0, 1))
    assert await everything(store) == [kept]
    await store.apply(log.batch(1, 2))
    assert await everything(store) == [kept]
    await store.rewind(0, 99)
    assert await store.position(0) == Cursor("e1", 2)


async def test_a_deletion_takes_its_comment_alone_also_in_one_batch_with_it(store: Store) -> None:
    first, gone, last = comments(5, 5, 5)
    await store.apply(Log(posted(first, gone, last), deleted(gone)).all)
    assert await everything(store) == [first, last]
    assert await store.get("demo0", 5, gone.comment_id) is None
    found = await store.get("demo0", 5, last.comment_id)
    assert found is not None
    assert found.comment == last


async def test_a_comment_is_found_at_its_own_offset_and_in_its_own_stream_only(store: Store) -> None:
    (comment,) = comments(5)
    await store.apply(Log(posted(comment)).all)
    assert await store.get("demo0", 5, comment.comment_id) is not None
    assert await store.get("demo0", 6, comment.comment_id) is None
    assert await store.get("demo1", 5, comment.comment_id) is None
    assert await store.get("demo0", 5, comment_id_at(STARTED_AT_MS + 5)) is None


async def test_nothing_behind_the_end_belongs_to_the_stream(store: Store) -> None:
    before, same_batch, later = comments(1, 3, 4)
    log = Log(posted(before), ended(2), posted(same_batch), posted(later))
    await store.apply(log.batch(0, 1))
    assert not (await store.window(0, "demo0", FIRST, 9, 9)).ended
    await store.apply(log.batch(1, 3))
    await store.apply(log.batch(3, 4))
    page = await store.window(0, "demo0", FIRST, 9, 9)
    assert page.ended
    assert (await store.recent(0, "demo0", LAST, 9)).ended
    assert await everything(store) == [before]
    assert await store.position(0) == Cursor("e1", 4)


async def test_a_comment_can_be_deleted_behind_the_end(store: Store) -> None:
    kept, gone = comments(1, 2)
    log = Log(posted(kept, gone), ended(3), deleted(gone))
    await store.apply(log.batch(0, 2))
    assert await everything(store) == [kept, gone]
    await store.apply(log.batch(2, 3))
    assert await everything(store) == [kept]


async def test_streams_are_apart_from_each_other(store: Store) -> None:
    await store.adopt(1, "e1")
    mine, theirs = comments(1), comments(1, stream_id="demo1")
    await store.apply(Log(posted(*mine)).all)
    await store.apply(Log(posted(*theirs), ended(2), shard=1).all)
    assert await everything(store) == mine
    assert await everything(store, 1) == theirs
    assert not (await store.window(0, "demo0", FIRST, 9, 9)).ended


# The same, at random: whatever a log holds and however it is applied, the store tells what the log says.

steps = st.lists(st.sampled_from(["post", "post at once", "delete"]), min_size=1, max_size=25)
cuts = st.lists(st.tuples(st.integers(0, 25), st.integers(1, 25), st.booleans()), max_size=8)


def log_of(kinds: Sequence[str], shard: int) -> tuple[Log, list[Comment]]:
    """A log of these steps, and what it says is to be read in the end."""
    batches: list[EventBatch] = []
    alive: list[Comment] = []
    offset_ms = 0
    for kind in kinds:
        if kind == "delete" and alive:
            batches.append(deleted(alive.pop(len(alive) // 2)))
            continue
        offset_ms += kind == "post"
        new = comments(offset_ms, offset_ms, stream_id=f"demo{shard}")
        batches.append(posted(*new))
        alive += new
    return Log(*batches, shard=shard), alive


@given(kinds=steps, cuts=cuts)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_however_often_the_log_is_applied_the_store_tells_what_it_says(
    store: Store, kinds: list[str], cuts: list[tuple[int, int, bool]]
) -> None:
    shard = 10 + next(_shards)
    log, expected = log_of(kinds, shard)
    written = (await store.adopt(shard, "e1")).seq
    new = 0
    for after, length, rewinds in cuts:
        after_seq = min(after, written)
        if rewinds:
            await store.rewind(shard, after_seq)
        new += await store.apply(log.batch(after_seq, after_seq + length))
        position = await store.position(shard)
        assert position is not None
        written = position.seq
    new += await store.apply(log.batch(written, len(log.messages)))
    assert await everything(store, shard) == expected
    assert new >= len(expected)
    assert await store.position(shard) == Cursor("e1", len(log.messages))


@given(kinds=steps, start=st.integers(0, 12), duration=st.integers(1, 12), limit=st.integers(1, 9))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_pages_of_any_size_forwards_and_backwards_hold_each_comment_once(
    store: Store, kinds: list[str], start: int, duration: int, limit: int
) -> None:
    shard = 10 + next(_shards)
    log, expected = log_of(kinds, shard)
    await store.adopt(shard, "e1")
    await store.apply(log.all)
    forwards: list[StoredComment] = []
    after, more = Place(start, 0, 0), True
    while more:
        page = await store.window(shard, log.stream_id, after, start + duration, limit)
        assert len(page.comments) == limit if page.more else len(page.comments) <= limit
        forwards += page.comments
        after, more = forwards[-1].place if forwards else after, page.more
    assert [row.comment for row in forwards] == [
        comment for comment in expected if start <= comment.offset_ms < start + duration
    ]
    backwards: list[StoredComment] = []
    before, more = LAST, True
    while more:
        page = await store.recent(shard, log.stream_id, before, limit)
        assert len(page.comments) == limit if page.more else len(page.comments) <= limit
        backwards = [*page.comments, *backwards]
        before, more = backwards[0].place if backwards else before, page.more
    assert [row.comment for row in backwards] == expected
