"""Opens the store: servers, schema, statements."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from cassandra.cluster import Session

from livecomments.settings import SettingsError
from storage.cql.bridge import Bridge
from storage.cql.migrations import check, migrate, version_of
from storage.cql.options import Options
from storage.cql.positions import Positions
from storage.cql.reading import Reader
from storage.cql.servers import Servers
from storage.cql.session import DRIVER_ERRORS, READ, WRITE, connect, disconnect
from storage.cql.statements import Statements
from storage.cql.store import CqlStore
from storage.cql.writing import RowWriter

_READS_AT_ONCE = 128
_READS_WAITING_MAX = 512
"""Above it a read is refused at once."""
_WRITES_AT_ONCE = 32
_WRITES_WAITING_MAX = 10_000
"""Out of reach: the writers of the shards bound themselves."""


@asynccontextmanager
async def open_cql(servers: Servers, retention_s: int, migrating: Options | None = None) -> AsyncIterator[CqlStore]:
    """The store in a keyspace; with ``migrating``, brought to the newest schema first. Comments live for
    ``retention_s``, 0 for ever.

    Raises SettingsError for a schema that is not the newest, and for settings that can't work; ConnectionError when
    no server answers.
    """
    session, statements = await asyncio.to_thread(_open, servers, migrating)
    try:
        reads = Bridge(session, READ, _READS_AT_ONCE, _READS_WAITING_MAX)
        writes = Bridge(session, WRITE, _WRITES_AT_ONCE, _WRITES_WAITING_MAX)
        yield CqlStore(
            Positions(writes, statements), RowWriter(writes, statements, retention_s), Reader(reads, statements)
        )
    finally:
        # Shielded: the driver's threads shall end in order, also when we are cancelled.
        await asyncio.shield(asyncio.to_thread(disconnect, session))


def migrate_keyspace(servers: Servers, options: Options) -> tuple[int, int]:
    """Brings a keyspace to the newest schema; returns the versions before and after. Blocks; raises as ``open_cql``
    does.
    """
    with _connection(servers) as session:
        versions = migrate(session, servers.keyspace, options)
    disconnect(session)
    return versions


def _open(servers: Servers, migrating: Options | None) -> tuple[Session, Statements]:
    with _connection(servers) as session:
        return session, _prepare(session, servers.keyspace, migrating)


@contextmanager
def _connection(servers: Servers) -> Iterator[Session]:
    """A session that is closed when what is done with it fails; errors name the setting."""
    session = connect(servers)
    try:
        yield session
    except BaseException as error:
        disconnect(session)
        if isinstance(error, (SettingsError, *DRIVER_ERRORS)):
            raise SettingsError(f"setting LIVECOMMENTS_STORAGE_URL: {servers}/{servers.keyspace}: {error}") from error
        raise


def _prepare(session: Session, keyspace: str, migrating: Options | None) -> Statements:
    if migrating is None:
        check(version_of(session, keyspace))
    else:
        migrate(session, keyspace, migrating)
    return Statements.prepare(session, keyspace)
