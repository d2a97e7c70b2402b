"""Which database the settings name: SQLite or CQL."""

from contextlib import AbstractAsyncContextManager

from storage.cql.options import Options, compaction
from storage.settings import StorageSettings
from storage.sqlite import migrate_file, open_sqlite
from storage.store import Store

_DAY_S = 86_400


def open_store(settings: StorageSettings) -> AbstractAsyncContextManager[Store]:
    """The store; entering it raises SettingsError, and ConnectionError when no server answers.

    SQLite's file is brought to the newest schema: nobody else uses it. A keyspace is shared by all storages, of which
    some may still run an older program: whoever runs them says when, by the command or the setting.
    """
    servers = settings.servers()
    if servers is None:
        return open_sqlite(settings.database_file())
    # Here: importing the driver takes a quarter of a second of CPU time.
    from storage.cql.opening import open_cql  # noqa: PLC0415

    retention_s = round((settings.storage_retention_days or 0) * _DAY_S)
    return open_cql(servers, retention_s, _options(settings) if settings.cql_migrate else None)


def migrate(settings: StorageSettings) -> str:
    """Brings the database to the newest schema; returns what was done, in one line. Blocks; raises as ``open_store``
    does.
    """
    servers = settings.servers()
    if servers is None:
        return _done(str(settings.database_file()), *migrate_file(settings.database_file()))
    from storage.cql.opening import migrate_keyspace  # noqa: PLC0415

    return _done(f"{servers}/{servers.keyspace}", *migrate_keyspace(servers, _options(settings)))


def _options(settings: StorageSettings) -> Options:
    return Options(
        replicas=settings.cql_replicas,
        keyspace=settings.cql_keyspace_options or "",
        comments=settings.cql_table_options or compaction(settings.storage_retention_days),
    )


def _done(database: str, before: int, after: int) -> str:
    return f"{database}: schema version {after}" + (f", was {before}" if before != after else " already")
