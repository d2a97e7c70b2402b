"""The store over SQLite: the embedded default, one file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TypeVar

from livecomments.cursor import Cursor
from livecomments.settings import SettingsError
from livecomments.v1.comment_pb2 import Comment
from storage.readers import Readers
from storage.store import Batch, NotStorable, OutOfStep, Page, Place, StoredComment, StoreUnavailable

T = TypeVar("T")

_SCHEMA = Path(__file__).parent / "schema" / "sqlite"
_READERS = 4
_BUSY_S = 2.0

_COLUMNS = "offset_ms, seq, idx, comment_id, author_id, author_name, text, posted_at_ms, lag_ms, meta_json"
_POSITION = "SELECT epoch, written_seq FROM shards WHERE shard = ?"
_ENDED = "SELECT 1 FROM streams WHERE stream_id = ? AND ended_seq IS NOT NULL"
_WINDOW = (
    f"SELECT {_COLUMNS} FROM comments WHERE stream_id = ? AND (offset_ms, seq, idx) > (?, ?, ?) AND offset_ms < ? "  # noqa: S608 (constants)
    "ORDER BY offset_ms, seq, idx LIMIT ?"
)
_RECENT = (
    f"SELECT {_COLUMNS} FROM comments WHERE stream_id = ? AND (offset_ms, seq, idx) < (?, ?, ?) "  # noqa: S608
    "ORDER BY offset_ms DESC, seq DESC, idx DESC LIMIT ?"
)
_GET = f"SELECT {_COLUMNS} FROM comments WHERE stream_id = ? AND offset_ms = ? AND comment_id = ?"  # noqa: S608
_START = (
    "INSERT INTO streams (stream_id, started_at_ms) VALUES (?, ?) "
    "ON CONFLICT DO UPDATE SET started_at_ms = excluded.started_at_ms WHERE started_at_ms IS NULL"
)
_END = (
    "INSERT INTO streams (stream_id, ended_at_ms, ended_seq) VALUES (?, ?, ?) "
    "ON CONFLICT DO UPDATE SET ended_at_ms = excluded.ended_at_ms, ended_seq = excluded.ended_seq "
    "WHERE ended_seq IS NULL"
)
_INSERT = (
    f"INSERT INTO comments (stream_id, {_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 "  # noqa: S608
    "WHERE NOT EXISTS (SELECT 1 FROM deletions WHERE stream_id = ?1 AND comment_id = ?5) "
    "AND NOT EXISTS (SELECT 1 FROM streams WHERE stream_id = ?1 AND ended_seq < ?3) "
    "ON CONFLICT DO NOTHING"
)
_BURY = "INSERT INTO deletions (stream_id, comment_id, deleted_seq) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_DELETE = (
    "DELETE FROM comments WHERE stream_id = ?1 AND comment_id = ?2 "
    "AND offset_ms = ?3 - (SELECT started_at_ms FROM streams WHERE stream_id = ?1)"
)


class SqliteStore:
    """A store in one SQLite file (WAL, synced at each commit). Open one with ``open_sqlite``.

    One thread writes, a few read, each with a connection of its own. A cancelled write leaves its thread to finish.
    """

    def __init__(self, writer: sqlite3.Connection, readers: list[sqlite3.Connection]) -> None:
        self._writer = writer
        self._write_thread = ThreadPoolExecutor(1, "sqlite-writer")
        self._readers = Readers(readers)

    async def position(self, shard: int) -> Cursor | None:
        return await self._read(lambda connection: _position(connection, shard))

    async def adopt(self, shard: int, epoch: str) -> Cursor:
        return await self._write(lambda connection: _adopt(connection, shard, epoch))

    async def rewind(self, shard: int, after_seq: int) -> None:
        await self._write(
            lambda connection: connection.execute(
                "UPDATE shards SET written_seq = min(written_seq, ?) WHERE shard = ?", (after_seq, shard)
            )
        )

    async def apply(self, batch: Batch) -> int:
        return await self._write(lambda connection: _apply(connection, batch))

    async def window(self, shard: int, stream_id: str, after: Place, end_offset_ms: int, limit: int) -> Page:
        arguments = (stream_id, after.offset_ms, after.seq, after.index, end_offset_ms, limit + 1)

        def read(connection: sqlite3.Connection) -> Page:
            found = [_stored(stream_id, row) for row in connection.execute(_WINDOW, arguments)]
            return _page(connection, shard, stream_id, found[:limit], len(found) > limit)

        return await self._read(read)

    async def recent(self, shard: int, stream_id: str, before: Place, limit: int) -> Page:
        arguments = (stream_id, before.offset_ms, before.seq, before.index, limit + 1)

        def read(connection: sqlite3.Connection) -> Page:
            found = [_stored(stream_id, row) for row in connection.execute(_RECENT, arguments)]
            return _page(connection, shard, stream_id, found[:limit][::-1], len(found) > limit)

        return await self._read(read)

    async def get(self, stream_id: str, offset_ms: int, comment_id: str) -> StoredComment | None:
        def read(connection: sqlite3.Connection) -> StoredComment | None:
            row = connection.execute(_GET, (stream_id, offset_ms, comment_id)).fetchone()
            return None if row is None else _stored(stream_id, row)

        return await self._read(read)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs ``work`` in a reader's thread, on one snapshot of the database."""

        def run(connection: sqlite3.Connection) -> T:
            with _transaction(connection, "BEGIN"):
                return work(connection)

        return await self._readers.run(run)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs ``work`` in the writer's thread, in a transaction that is on disk when this returns."""

        def run() -> T:
            with _transaction(self._writer, "BEGIN IMMEDIATE"):
                return work(self._writer)

        return await asyncio.get_running_loop().run_in_executor(self._write_thread, run)

    def close(self) -> None:
        """Blocks until the threads are done."""
        self._readers.close()
        self._write_thread.shutdown(cancel_futures=True)
        self._writer.close()


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncIterator[SqliteStore]:
    """The store in this file, made or brought to the newest schema first; raises SettingsError when it can't be."""
    store = await asyncio.to_thread(_open, path)
    try:
        yield store
    finally:
        # Shielded: the file shall be closed in order, also when we are cancelled.
        await asyncio.shield(asyncio.to_thread(store.close))


def _open(path: Path) -> SqliteStore:
    connections: list[sqlite3.Connection] = []
    try:
        for _ in range(1 + _READERS):
            connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            connections.append(connection)
            # In WAL mode FULL syncs each commit; NORMAL would lose the last ones in a power cut.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            # 16 MB. At SQLite's 4 MB each of the writer's large transactions is copied into the database at once, and
            # the syncs are half as many again (counted: 27 for 120,000 comments, here 18).
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
        writer, *readers = connections
        _migrate(writer)
        for reader in readers:
            reader.execute("PRAGMA query_only = ON")
        return SqliteStore(writer, readers)
    except (sqlite3.Error, SettingsError) as error:
        for connection in connections:
            connection.close()
        raise SettingsError(f"setting LIVECOMMENTS_STORAGE_URL: {path}: {error}") from error


def migrate_file(path: Path) -> tuple[int, int]:
    """Makes the database or brings it to the newest schema, as opening it does; returns the versions before and after.

    Blocks; raises SettingsError.
    """
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        with closing(connection):
            return _migrate(connection)
    except (sqlite3.Error, SettingsError) as error:
        raise SettingsError(f"setting LIVECOMMENTS_STORAGE_URL: {path}: {error}") from error


def _migrate(connection: sqlite3.Connection) -> tuple[int, int]:
    """Applies the schema's files that this database has not seen; their number is its version."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    files = sorted(_SCHEMA.glob("*.sql"))
    if version > len(files):
        raise SettingsError(f"its schema is version {version}, this program knows {len(files)}")
    for number, file in enumerate(files[version:], version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{file.read_text()}\nPRAGMA user_version = {number};\nCOMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return version, len(files)


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Commits, or rolls back what failed; sqlite3's errors become StoreUnavailable, or NotStorable."""
    try:
        try:
            connection.execute(begin)
            yield
            connection.execute("COMMIT")
        finally:
            # A full disk may have ended the transaction already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except (sqlite3.DataError, sqlite3.IntegrityError, OverflowError) as error:
        raise NotStorable(f"{type(error).__name__}: {error}") from error
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error


def _position(connection: sqlite3.Connection, shard: int) -> Cursor | None:
    row = connection.execute(_POSITION, (shard,)).fetchone()
    return None if row is None else Cursor(*row)


def _adopt(connection: sqlite3.Connection, shard: int, epoch: str) -> Cursor:
    known = _position(connection, shard)
    if known is not None and known.epoch == epoch:
        return known
    connection.execute("REPLACE INTO shards (shard, epoch, written_seq) VALUES (?, ?, 0)", (shard, epoch))
    return Cursor(epoch, 0)


def _apply(connection: sqlite3.Connection, batch: Batch) -> int:
    position = _position(connection, batch.shard)
    if position is None or position.epoch != batch.epoch or position.seq < batch.after_seq:
        raise OutOfStep(f"the batch follows {batch.epoch}-{batch.after_seq}, written is {position}")
    comments = [row.comment for row in batch.comments]
    starts = {comment.stream_id: comment.posted_at_ms - comment.offset_ms for comment in comments}
    connection.executemany(_START, starts.items())
    # The ends first: what stands behind one, also in this batch, is no part of its stream.
    connection.executemany(_END, ((end.stream_id, end.ended_at_ms, end.seq) for end in batch.ends))
    inserted = connection.executemany(_INSERT, (_values(row) for row in batch.comments)).rowcount
    connection.executemany(_BURY, ((gone.stream_id, gone.comment_id, gone.seq) for gone in batch.deletions))
    connection.executemany(_DELETE, ((gone.stream_id, gone.comment_id, gone.posted_at_ms) for gone in batch.deletions))
    connection.execute(
        "UPDATE shards SET written_seq = max(written_seq, ?) WHERE shard = ?", (batch.through_seq, batch.shard)
    )
    return max(0, inserted)


def _page(
    connection: sqlite3.Connection, shard: int, stream_id: str, comments: list[StoredComment], more: bool
) -> Page:
    ended = connection.execute(_ENDED, (stream_id,)).fetchone() is not None
    return Page(tuple(comments), more, _position(connection, shard), ended)


def _values(row: StoredComment) -> tuple[str | int, ...]:
    place, comment = row.place, row.comment
    return (
        comment.stream_id,
        place.offset_ms,
        place.seq,
        place.index,
        comment.comment_id,
        comment.author_id,
        comment.author_name,
        comment.text,
        comment.posted_at_ms,
        comment.lag_ms,
        comment.meta_json,
    )


def _stored(stream_id: str, row: tuple[int, int, int, str, str, str, str, int, int, str]) -> StoredComment:
    offset_ms, seq, index, comment_id, author_id, author_name, text, posted_at_ms, lag_ms, meta_json = row
    comment = Comment(
        comment_id=comment_id,
        stream_id=stream_id,
        author_id=author_id,
        author_name=author_name,
        text=text,
        posted_at_ms=posted_at_ms,
        offset_ms=offset_ms,
        lag_ms=lag_ms,
        meta_json=meta_json,
    )
    return StoredComment(Place(offset_ms, seq, index), comment)
