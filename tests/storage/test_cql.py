"""What the store over CQL promises beyond the contract: several writers, late writes, timestamps, and its schema."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from cassandra import ConsistencyLevel
from cassandra.cluster import ResponseFuture, Session
from cassandra.policies import (
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    NoSpeculativeExecutionPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import BatchMessage, ExecuteMessage
from cassandra.query import BatchType, Statement

from livecomments.cursor import Cursor
from livecomments.settings import SettingsError
from livecomments.v1.comment_pb2 import Comment, EventBatch
from storage.batches import LogMessage, batch_of
from storage.cql import migrations
from storage.cql.bridge import Bridge, Row
from storage.cql.opening import migrate_keyspace, open_cql
from storage.cql.options import Options, compaction
from storage.cql.positions import Positions
from storage.cql.reading import Reader
from storage.cql.rows import Span
from storage.cql.servers import Servers
from storage.cql.session import READ, WRITE
from storage.cql.statements import Statements
from storage.cql.store import CqlStore
from storage.cql.views import KNOWN_S, Views
from storage.cql.writing import RowWriter
from storage.store import FIRST, LAST, Batch, NotStorable, OutOfStep, Place, Store
from tests.cql.shared import OPTIONS
from tests.storage.broadcast import STARTED_AT_MS, comment_at, deleted, ended, posted

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]  # a CQL server is started by the first

STREAM = "demo"


def batch(after_seq: int, *messages: EventBatch) -> Batch:
    log = [LogMessage(STREAM, seq, each.SerializeToString()) for seq, each in enumerate(messages, after_seq + 1)]
    made, poisons = batch_of(0, Cursor("e1", after_seq), log)
    assert not poisons
    return made


def long_comments(from_ms: int) -> list[Comment]:
    """A hundred: more than one write holds."""
    comments = [comment_at(from_ms + number, STREAM) for number in range(100)]
    for comment in comments:
        comment.text = "x" * 500
    return comments


@pytest.mark.parametrize(
    ("name", "speculative"), [(READ, ConstantSpeculativeExecutionPolicy), (WRITE, NoSpeculativeExecutionPolicy)]
)
def test_statements_go_to_a_replica_for_a_quorum_and_slow_reads_to_a_second(
    cql_session: Session, name: str, speculative: type
) -> None:
    profile = cql_session.cluster.profile_manager.profiles[name]
    assert profile.consistency_level == ConsistencyLevel.LOCAL_QUORUM
    assert profile.serial_consistency_level == ConsistencyLevel.LOCAL_SERIAL
    assert isinstance(profile.load_balancing_policy, TokenAwarePolicy)
    assert isinstance(profile.load_balancing_policy._child_policy, DCAwareRoundRobinPolicy)
    assert type(profile.speculative_execution_policy) is speculative
    assert cql_session.cluster.protocol_version == 4


async def test_rows_go_in_unlogged_batches_of_prepared_statements_each_with_its_time(
    empty_keyspace: Servers, cql_session: Session
) -> None:
    sent: list[object] = []

    def see(future: ResponseFuture) -> None:
        sent.append(future.message)

    statements = Statements.prepare(cql_session, empty_keyspace.keyspace)
    cql_session.add_request_init_listener(see)
    try:
        writer = RowWriter(Bridge(cql_session, WRITE, 10, 100), statements, 0)
        await writer.write(batch(0, *(posted(*long_comments(from_ms)) for from_ms in (0, 10_000))))
    finally:
        cql_session.remove_request_init_listener(see)
    batches = [message for message in sent if isinstance(message, BatchMessage)]
    assert {message.batch_type for message in batches} == {BatchType.UNLOGGED}
    assert sum(len(message.queries) for message in batches) == 200
    for message in batches:
        assert all(is_prepared for is_prepared, _, _ in message.queries)
        assert len({tuple(parameters[:2]) for _, _, parameters in message.queries}) == 1, "of one partition"
        assert sum(len(value) for _, _, parameters in message.queries for value in parameters) <= 32 * 1024
    assert all(isinstance(message, BatchMessage | ExecuteMessage) for message in sent)
    # Each with the time at which it was posted, in µs.
    times = {int.from_bytes(parameters[-1]) for message in batches for _, _, parameters in message.queries}
    assert times == {1_000 * comment.posted_at_ms for at_ms in (0, 10_000) for comment in long_comments(at_ms)}


async def offsets(store: Store) -> list[int]:
    page = await store.window(0, STREAM, FIRST, LAST.offset_ms, 1_000)
    return [comment.place.offset_ms for comment in page.comments]


class Sleeper(RowWriter):
    """Falls asleep when it has written, or before, as a process that is frozen does."""

    def __init__(self, bridge: Bridge, statements: Statements) -> None:
        super().__init__(bridge, statements, 0)
        self.before, self.behind = asyncio.Event(), asyncio.Event()
        self.asleep = asyncio.Event()

    async def write(self, batch: Batch) -> None:
        if not self.before.is_set():
            self.asleep.set()
            await self.before.wait()
        await super().write(batch)
        self.asleep.set()
        await self.behind.wait()


@pytest.fixture
async def store(empty_keyspace: Servers) -> AsyncIterator[CqlStore]:
    async with open_cql(empty_keyspace, retention_s=0) as store:
        await store.adopt(0, "e1")
        yield store


@asynccontextmanager
async def frozen(session: Session, work: Batch, *, written: bool) -> AsyncIterator[tuple[Sleeper, asyncio.Task[int]]]:
    """Another storage that is frozen while it applies a batch: before its rows are written, or right after."""
    statements = Statements.prepare(session, session.keyspace)
    bridge = Bridge(session, WRITE, 10, 100)
    sleeper = Sleeper(bridge, statements)
    if written:
        sleeper.before.set()
    store = CqlStore(Positions(bridge, statements), sleeper, Reader(Bridge(session, READ, 10, 100), statements))
    async with asyncio.TaskGroup() as tasks:
        applying = tasks.create_task(_outcome(store, work))
        await asyncio.wait_for(sleeper.asleep.wait(), 30)
        yield sleeper, applying


async def _outcome(store: Store, work: Batch) -> int:
    """How many were written; -1 when the batch was out of step."""
    try:
        return await store.apply(work)
    except OutOfStep:
        return -1


def wake(sleeper: Sleeper) -> None:
    sleeper.before.set()
    sleeper.behind.set()


async def test_nothing_of_a_batch_is_shown_before_all_of_it_is_written(store: CqlStore, cql_session: Session) -> None:
    first, second = comment_at(1, STREAM), comment_at(20_000, STREAM)
    await store.apply(batch(0, posted(first)))
    async with frozen(cql_session, batch(1, posted(second), ended(30_000)), written=True) as (sleeper, applying):
        for page in (
            await store.window(0, STREAM, FIRST, LAST.offset_ms, 10),
            await store.recent(0, STREAM, LAST, 10),
            await store.recent(0, STREAM, LAST, 1),
        ):
            assert [row.comment for row in page.comments] == [first]
            assert (page.more, page.through, page.ended) == (False, Cursor("e1", 1), False)
        wake(sleeper)
        assert await applying == 1
    page = await store.window(0, STREAM, FIRST, LAST.offset_ms, 10)
    assert [row.comment for row in page.comments] == [first, second]
    assert (page.through, page.ended) == (Cursor("e1", 3), True)


async def test_a_writer_that_slept_over_a_rewind_does_not_take_the_position_forward(
    store: CqlStore, cql_session: Session
) -> None:
    messages = [posted(comment_at(offset_ms, STREAM)) for offset_ms in range(4)]
    await store.apply(batch(0, *messages[:2]))
    async with frozen(cql_session, batch(2, *messages[2:]), written=True) as (sleeper, applying):
        await store.rewind(0, 0)
        wake(sleeper)
        assert await applying == -1
    assert await store.position(0) == Cursor("e1", 0)


async def test_a_writer_that_slept_until_all_was_rewritten_does_not_take_the_position_forward(
    store: CqlStore, cql_session: Session
) -> None:
    messages = [posted(comment_at(offset_ms, STREAM)) for offset_ms in range(4)]
    await store.apply(batch(0, *messages[:2]))
    async with frozen(cql_session, batch(2, *messages[2:]), written=True) as (sleeper, applying):
        # What the sleeper has written is lost with the database's last rows, and the position is where it knew it.
        cql_session.execute("TRUNCATE comments")
        await store.rewind(0, 0)
        await store.apply(batch(0, *messages[:2]))
        assert await store.position(0) == Cursor("e1", 2)
        wake(sleeper)
        # It writes its rows once more before it goes on.
        assert await applying == 2
    assert await store.position(0) == Cursor("e1", 4)
    assert await offsets(store) == [0, 1, 2, 3]


async def test_a_row_that_is_written_after_its_deletion_stays_gone(store: CqlStore, cql_session: Session) -> None:
    gone, kept = comment_at(5, STREAM), comment_at(6, STREAM)
    late = batch(0, posted(gone, kept))
    async with frozen(cql_session, late, written=False) as (sleeper, applying):
        await store.apply(batch(0, posted(gone, kept), deleted(gone)))
        assert await offsets(store) == [6]
        wake(sleeper)
        await applying
    assert await store.position(0) == Cursor("e1", 2)
    assert await offsets(store) == [6]
    assert await store.get(STREAM, 5, gone.comment_id) is None
    page = await store.window(0, STREAM, FIRST, LAST.offset_ms, 10)
    assert [row.comment for row in page.comments] == [kept]


async def test_two_that_write_at_once_write_everything_once(store: CqlStore, empty_keyspace: Servers) -> None:
    messages = [posted(comment_at(number, STREAM), comment_at(number, STREAM)) for number in range(30)]

    async def write(writer: Store, size: int) -> None:
        while (position := await writer.position(0)) is not None and position.seq < len(messages):
            last = position.seq + size
            await _outcome(writer, batch(position.seq, *messages[position.seq : last]))

    async with open_cql(empty_keyspace, retention_s=0) as other, asyncio.TaskGroup() as tasks:
        tasks.create_task(write(store, 3))
        tasks.create_task(write(other, 7))
    assert await offsets(store) == [number for number in range(30) for _ in range(2)]
    assert await store.position(0) == Cursor("e1", 30)


async def test_a_stream_with_gaps_is_read_over_all_of_its_partitions(store: CqlStore) -> None:
    # More partitions than are listed at once, some of them emptied again.
    comments = [comment_at(number * 25_000, STREAM) for number in range(230)]
    gone = comments[40:60]
    await store.apply(batch(0, posted(*comments), *map(deleted, gone)))
    expected = [comment.offset_ms for comment in comments if comment not in gone]
    assert await offsets(store) == expected
    backwards: list[int] = []
    before, more = LAST, True
    while more:
        page = await store.recent(0, STREAM, before, 90)
        backwards = [row.place.offset_ms for row in page.comments] + backwards
        before, more = page.comments[0].place, page.more
    assert backwards == expected
    page = await store.window(0, STREAM, Place(25_000, 0, 0), 75_000, 10)
    assert [row.place.offset_ms for row in page.comments] == [25_000, 50_000]
    assert not page.more


class Counting(Bridge):
    """Counts the rows that come, and how often they were gone for."""

    rows = 0
    trips = 0
    """Statements that are under way together make one."""
    _under_way = 0

    async def run(self, statement: Statement) -> list[Row]:
        self.trips += not self._under_way
        self._under_way += 1
        try:
            found = await super().run(statement)
        finally:
            self._under_way -= 1
        self.rows += len(found)
        return found


async def test_a_seek_to_the_end_of_a_partition_reads_little_more_than_it_gives(
    store: CqlStore, cql_session: Session
) -> None:
    await store.apply(batch(0, posted(*(comment_at(number * 100, STREAM) for number in range(1_500)))))
    bridge = Counting(cql_session, READ, 10, 100)
    reader = reader_of(cql_session, bridge, Clock())
    page = await reader.window(0, STREAM, Span(Place(9_900, 0, 0), LAST), 50)
    assert [row.place.offset_ms for row in page.comments] == list(range(9_900, 14_900, 100))
    assert bridge.rows < 4 * 50


class Clock:
    """Stands still unless it is put forward."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def reader_of(session: Session, bridge: Bridge, clock: Callable[[], float]) -> Reader:
    return Reader(bridge, Statements.prepare(session, session.keyspace), Views(clock))


async def test_a_seek_makes_one_trip_to_the_database_when_its_page_is_filled_and_the_position_known(
    store: CqlStore, cql_session: Session
) -> None:
    here = [comment_at(number * 100, STREAM) for number in range(1_500)]
    await store.apply(batch(0, posted(*here)))
    bridge = Counting(cql_session, READ, 10, 100)
    clock = Clock()
    reader = reader_of(cql_session, bridge, clock)

    async def seek(stream_id: str, first_ms: int, end_ms: int) -> tuple[int, list[int]]:
        """Trips, and what came."""
        bridge.trips = 0
        page = await reader.window(0, stream_id, Span(Place(first_ms, 0, 0), Place(end_ms, 0, 0)), 10)
        return bridge.trips, [row.place.offset_ms for row in page.comments]

    ten = list(range(42_000, 43_000, 100))
    assert await seek(STREAM, 42_000, 100_000) == (2, ten)
    assert await seek(STREAM, 42_000, 100_000) == (1, ten)
    # To the end of a partition.
    assert await seek(STREAM, 49_500, 100_000) == (2, list(range(49_500, 50_500, 100)))
    # Where the page is not filled, more may have been written: the position is asked for, now and the next time.
    for trips in (3, 2):
        assert await seek(STREAM, 42_500, 43_000) == (trips, list(range(42_500, 43_000, 100)))
    assert await seek(STREAM, 42_000, 100_000) == (2, ten)
    clock.now_s += KNOWN_S
    assert await seek(STREAM, 42_000, 100_000) == (2, ten)
    # Of a stream that has ended, nothing more will come.
    await store.apply(batch(1, ended(150_000)))
    clock.now_s += KNOWN_S
    assert await seek(STREAM, 42_500, 43_000) == (2, list(range(42_500, 43_000, 100)))
    assert await seek(STREAM, 42_500, 43_000) == (1, list(range(42_500, 43_000, 100)))


async def test_a_page_lacks_nothing_that_was_written_and_tells_of_the_log_what_it_knows(
    store: CqlStore, cql_session: Session
) -> None:
    await store.apply(batch(0, posted(comment_at(1, STREAM), comment_at(2, STREAM))))
    clock = Clock()
    reader = reader_of(cql_session, Bridge(cql_session, READ, 10, 100), clock)

    async def seen(limit: int) -> tuple[list[int], Cursor | None, bool]:
        page = await reader.window(0, STREAM, Span(FIRST, LAST), limit)
        return [row.place.offset_ms for row in page.comments], page.through, page.ended

    assert await seen(1) == ([1], Cursor("e1", 1), False)
    await store.apply(batch(1, posted(comment_at(3, STREAM)), ended(4)))
    assert await seen(1) == ([1], Cursor("e1", 1), False)
    page = await reader.recent(0, STREAM, Span(FIRST, LAST), 1)
    assert [row.place.offset_ms for row in page.comments] == [3]
    assert await seen(2) == ([1, 2], Cursor("e1", 3), True)
    assert await seen(3) == ([1, 2, 3], Cursor("e1", 3), True)
    assert await seen(1) == ([1], Cursor("e1", 3), True)


async def test_rows_have_the_logs_time_and_expire_with_the_retention(
    empty_keyspace: Servers, cql_session: Session
) -> None:
    async with open_cql(empty_keyspace, retention_s=86_400) as store:
        await store.adopt(0, "e1")
        await store.apply(batch(0, posted(comment_at(7, STREAM))))
    # What was posted in the future lives no longer than the retention.
    ((written, ttl),) = cql_session.execute("SELECT WRITETIME(comment), TTL(comment) FROM comments")
    assert written == (STARTED_AT_MS + 7) * 1_000
    assert 80_000 < ttl <= 86_400
    ((ttl,),) = cql_session.execute(f"SELECT TTL(started_at_ms) FROM streams WHERE stream_id = '{STREAM}'")
    assert ttl is None


async def test_a_row_holds_the_comment_as_the_log_has_it_also_what_is_not_known_yet(
    store: CqlStore, cql_session: Session
) -> None:
    # A field of a later version: number 1000, a text.
    comment = Comment.FromString(comment_at(7, STREAM).SerializeToString() + b"\xc2\x3e\x05later")
    await store.apply(batch(0, posted(comment)))
    rows = list(cql_session.execute("SELECT offset_ms, seq, idx, epoch, comment FROM comments"))
    assert rows == [(7, 1, 0, "e1", comment.SerializeToString())]
    found = await store.get(STREAM, 7, comment.comment_id)
    assert found is not None
    assert found.comment.SerializeToString().endswith(b"later")


async def test_an_end_at_no_time_is_not_storable_and_changes_nothing(store: CqlStore) -> None:
    with pytest.raises(NotStorable, match="ended_at_ms"):
        await store.apply(batch(0, posted(comment_at(1, STREAM)), ended(2**62)))
    assert await offsets(store) == []
    assert await store.position(0) == Cursor("e1", 0)


# The schema.


def test_a_keyspace_that_was_not_migrated_is_refused_with_the_way_out(cql_port: int) -> None:
    async def opened() -> None:
        async with open_cql(Servers(("127.0.0.1",), cql_port, "nowhere"), retention_s=0):
            pass

    with pytest.raises(SettingsError, match=r"nowhere: its schema is version 0, .* run `livecomments storage migrate`"):
        asyncio.run(opened())


def test_a_schema_of_a_later_version_is_left_alone(keyspace: Servers, cql_session: Session) -> None:
    later = "UPDATE schema_state SET version = {} WHERE room = 'storage' IF EXISTS"
    cql_session.execute(later.format(99))
    try:
        with pytest.raises(
            SettingsError, match=re.escape(f"its schema is version 99, this program knows {migrations.NEWEST}")
        ):
            migrate_keyspace(keyspace, OPTIONS)
    finally:
        cql_session.execute(later.format(migrations.NEWEST))
    assert migrate_keyspace(keyspace, OPTIONS) == (migrations.NEWEST, migrations.NEWEST)


def test_two_that_migrate_at_once_both_find_it_done(cql_port: int, cql_session: Session) -> None:
    servers = Servers(("127.0.0.1",), cql_port, "k_at_once")
    cql_session.execute("DROP KEYSPACE IF EXISTS k_at_once")
    seen: list[tuple[int, int]] = []
    threads = [threading.Thread(target=lambda: seen.append(migrate_keyspace(servers, OPTIONS))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(seen) == [(0, migrations.NEWEST), (migrations.NEWEST, migrations.NEWEST)]


def test_a_migration_that_was_cut_off_is_gone_on_with_and_options_are_taken_over(
    keyspace: Servers, cql_session: Session
) -> None:
    cql_session.execute("UPDATE schema_state SET version = 0 WHERE room = 'storage' IF EXISTS")
    options = Options(replicas=1, keyspace="", comments=compaction(7))
    assert migrate_keyspace(keyspace, options) == (0, migrations.NEWEST)
    query = "SELECT compaction FROM system_schema.tables WHERE keyspace_name = %s AND table_name = 'comments'"
    ((chosen,),) = cql_session.execute(query, (keyspace.keyspace,))
    assert chosen["class"].endswith("TimeWindowCompactionStrategy")
    assert (chosen["compaction_window_unit"], chosen["compaction_window_size"]) == ("DAYS", "1")


def test_options_that_the_servers_refuse_are_named(keyspace: Servers) -> None:
    with pytest.raises(SettingsError, match=r"it can't be migrated: .*unheard_of"):
        migrate_keyspace(keyspace, Options(replicas=1, keyspace="", comments="unheard_of = 1"))
