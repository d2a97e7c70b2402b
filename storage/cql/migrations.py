"""Brings a keyspace to the newest schema: the files of ``schema/cql``, each once and in their order.

A file's statements may be repeated: CQL has no transactions around them, and one that failed in the middle is run
again. What has been run stands in the table ``schema_state``, which also lets one program at a time do it.
"""

# ruff: noqa: S608 (constants, and a keyspace whose form is checked)

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

from cassandra import ConsistencyLevel, OperationTimedOut, WriteTimeout
from cassandra.cluster import Session
from cassandra.query import SimpleStatement

from livecomments.settings import SettingsError
from storage.cql.options import Options
from storage.cql.session import DRIVER_ERRORS

_FILES = sorted((Path(__file__).parents[1] / "schema" / "cql").glob("*.cql"))
NEWEST = len(_FILES)

_LEASE_S = 120
"""One who died while migrating is waited for so long."""
_POLL_S = 0.25
_SCHEMA_S = 60.0
_STATE = (
    "CREATE TABLE IF NOT EXISTS {keyspace}.schema_state (room text PRIMARY KEY, version int, holder uuid, options text)"
)


def version_of(session: Session, keyspace: str) -> int:
    """The version of the schema that a keyspace had when the session began; 0 for none. Raises the driver's errors."""
    known = session.cluster.metadata.keyspaces.get(keyspace)
    if known is None or "schema_state" not in known.tables:
        return 0
    version, _ = _state(session, keyspace)
    return version


def check(version: int) -> None:
    """Raises SettingsError unless this is the version that this program needs."""
    if version < NEWEST:
        raise SettingsError(
            f"its schema is version {version}, this program needs {NEWEST}: run `livecomments storage migrate`"
        )
    if version > NEWEST:
        raise SettingsError(f"its schema is version {version}, this program knows {NEWEST}")


def migrate(session: Session, keyspace: str, options: Options) -> tuple[int, int]:
    """Makes what is missing, and leaves the session in the keyspace; returns the versions before and after.

    Blocks, also while another one migrates. Raises SettingsError for a schema that is newer than this program, and for
    what the servers refuse.
    """
    try:
        _make_keyspace(session, keyspace, options)
        session.set_keyspace(keyspace)
        session.execute(_STATE.format(keyspace=keyspace), timeout=_SCHEMA_S)
        with _lease(session, keyspace) as holder:
            return _migrate(session, keyspace, options, holder)
    except DRIVER_ERRORS as error:
        raise SettingsError(f"it can't be migrated: {error}") from error


def _make_keyspace(session: Session, keyspace: str, options: Options) -> None:
    if keyspace in session.cluster.metadata.keyspaces:
        return
    ((data_centre,),) = session.execute("SELECT data_center FROM system.local")
    replication = f"{{'class': 'NetworkTopologyStrategy', '{data_centre}': {options.replicas}}}"
    more = f" AND {options.keyspace}" if options.keyspace else ""
    session.execute(
        f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}{more}", timeout=_SCHEMA_S
    )


def _migrate(session: Session, keyspace: str, options: Options, holder: UUID) -> tuple[int, int]:
    before, altered = _state(session, keyspace)
    if before > NEWEST:
        check(before)
    for number, file in enumerate(_FILES[before:], before + 1):
        for statement in statements_of(file.read_text()):
            session.execute(statement, timeout=_SCHEMA_S)
        _note(session, keyspace, "version", number, holder)
    if altered != options.comments:
        session.execute(f"ALTER TABLE comments WITH {options.comments}", timeout=_SCHEMA_S)
        _note(session, keyspace, "options", options.comments, holder)
    return before, NEWEST


def statements_of(text: str) -> list[str]:
    """The statements of a file, without comments."""
    code = "\n".join(line.partition("--")[0] for line in text.splitlines())
    return [statement for part in code.split(";") if (statement := part.strip())]


def _state(session: Session, keyspace: str) -> tuple[int, str]:
    """Version and options that a keyspace has."""
    query = SimpleStatement(
        f"SELECT version, options FROM {keyspace}.schema_state WHERE room = 'storage'",
        consistency_level=ConsistencyLevel.LOCAL_SERIAL,
    )
    for version, options in session.execute(query):
        return version or 0, options or ""
    return 0, ""


def _holder(session: Session, keyspace: str) -> UUID | None:
    """Who migrates."""
    query = SimpleStatement(
        f"SELECT holder FROM {keyspace}.schema_state WHERE room = 'storage'",
        consistency_level=ConsistencyLevel.LOCAL_SERIAL,
    )
    return next((holder for (holder,) in session.execute(query)), None)


def _note(session: Session, keyspace: str, column: str, value: int | str, holder: UUID) -> None:
    text = f"UPDATE {keyspace}.schema_state SET {column} = %s WHERE room = 'storage' IF holder = %s"
    if not _was_applied(session, text, (value, holder)):
        raise SettingsError("it can't be migrated: another program has begun to")


@contextmanager
def _lease(session: Session, keyspace: str) -> Iterator[UUID]:
    """One at a time: for as long as the context is open, unless it is very long."""
    holder = uuid4()
    table = f"{keyspace}.schema_state"
    take = f"UPDATE {table} USING TTL {_LEASE_S} SET holder = %s WHERE room = 'storage' IF holder = null"
    while (held_by := _holder(session, keyspace)) != holder:
        if held_by is not None:
            time.sleep(_POLL_S)
        else:
            # One that was not answered in time may have been taken all the same: then it is ours.
            with contextlib.suppress(WriteTimeout, OperationTimedOut):
                _was_applied(session, take, (holder,))
    try:
        yield holder
    finally:
        give = f"UPDATE {table} SET holder = null WHERE room = 'storage' IF holder = %s"
        _was_applied(session, give, (holder,))


def _was_applied(session: Session, text: str, values: tuple[object, ...]) -> bool:
    # What follows the first column differs between Cassandra and ScyllaDB.
    ((applied, *_),) = session.execute(text, values)
    return bool(applied)
