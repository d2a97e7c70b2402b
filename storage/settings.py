"""What storage can be told."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from livecomments.settings import Settings
from storage.cql.servers import Servers

_SQLITE = "sqlite:///"
_CQL = re.compile(r"cql://([A-Za-z0-9._-]+(?:,[A-Za-z0-9._-]+)*)(?::(\d{1,5}))?/([a-z][a-z0-9_]{0,47})", re.ASCII)
_CQL_PORT = 9042
_CQL_LOG_HOURS_MAX = 240


class StorageSettings(Settings):
    """Settings of storage, beside those that all services share."""

    storage_listen: str = "127.0.0.1:0"
    """Where HistoryService is served."""
    storage_metrics_listen: str = "127.0.0.1:0"
    """Where Prometheus reads."""
    storage_url: str | None = None
    """The database: ``sqlite:///<path>`` (four slashes begin an absolute path), default ``<data_dir>/comments.db``; or
    ``cql://<host>,<host>:<port>/<keyspace>`` for ScyllaDB or Cassandra, one port for all, default 9042.
    """
    storage_retention_days: Annotated[float | None, Field(gt=0, le=7_000)] = None
    """Days after which a comment is forgotten; by default none is. With ``cql://`` only."""
    cql_user: str | None = None
    """Who we are to the CQL servers; by default nobody."""
    cql_password_file: Path | None = None
    """File with its password."""
    cql_tls_ca: Path | None = None
    """Certificates that the CQL servers' are checked with (PEM); with it TLS is spoken, and names must match."""
    cql_tls_cert: Path | None = None
    """Our own certificate, where the servers ask for one (PEM)."""
    cql_tls_key: Path | None = None
    """The key that belongs to it (PEM, without a password)."""
    cql_data_centre: str | None = None
    """Data centre whose servers are asked; default that of the first one that answers."""
    cql_replicas: Annotated[int, Field(ge=1, le=9)] = 1
    """Copies of each row in the data centre, when the keyspace is made: 3 for production."""
    cql_keyspace_options: str | None = None
    """More for CREATE KEYSPACE, such as ScyllaDB's ``tablets = {'enabled': false}``."""
    cql_table_options: str | None = None
    """What ``comments`` is altered to have, such as another ``compaction = {…}``; default compaction by time."""
    cql_migrate: bool = False
    """Whether storage brings the keyspace to the newest schema when it starts, as ``up`` has it do; otherwise
    ``livecomments storage migrate`` does, and storage refuses to start on an older one.
    """
    log_hours: Annotated[float, Field(ge=0.1)] = 24.0
    """How long the log keeps what is written, hours; what is not written stays in any case. Not below six minutes:
    core and fanout read the last minutes from the log.
    """
    log_full_keeps_minutes: Annotated[float, Field(ge=0)] = 3.0
    """What a full log keeps although it is written, minutes; older messages make room at once. With less than two a
    core that takes a stream over may not know a repeated Idempotency-Key.
    """

    @field_validator("storage_url")
    @classmethod
    def _known_database(cls, url: str | None) -> str | None:
        if url is None or (len(url) > len(_SQLITE) and url.startswith(_SQLITE)):
            return url
        if url.startswith("cql://"):
            match = _CQL.fullmatch(url)
            if match is None or int(match[2] or _CQL_PORT) > 65_535:
                raise ValueError("must be cql://<host>,<host>:<port>/<keyspace>, the keyspace in lower case")
            return url
        raise ValueError("must be sqlite:///<path> or cql://<host>/<keyspace>")

    @field_validator("storage_retention_days")
    @classmethod
    def _can_forget(cls, days: float | None, known: ValidationInfo) -> float | None:
        if days is not None and not is_cql(known.data.get("storage_url")):
            raise ValueError("needs a STORAGE_URL with cql://")
        return days

    @field_validator("log_hours")
    @classmethod
    def _within_tombstones(cls, hours: float, known: ValidationInfo) -> float:
        # What the log brings again must still find that it was deleted.
        if hours > _CQL_LOG_HOURS_MAX and is_cql(known.data.get("storage_url")):
            raise ValueError(f"must be at most {_CQL_LOG_HOURS_MAX} with cql://: deletions are kept for two weeks")
        return hours

    def database_file(self) -> Path:
        """The file of the SQLite database, when it is that."""
        if self.storage_url is None:
            return self.data_dir / "comments.db"
        return Path(self.storage_url.removeprefix(_SQLITE))

    def servers(self) -> Servers | None:
        """The CQL servers; None for SQLite."""
        match = _CQL.fullmatch(self.storage_url or "")
        if match is None:
            return None
        hosts, port, keyspace = match.groups()
        return Servers(
            hosts=tuple(hosts.split(",")),
            port=int(port or _CQL_PORT),
            keyspace=keyspace,
            data_centre=self.cql_data_centre,
            user=self.cql_user,
            password_file=self.cql_password_file,
            tls_ca=self.cql_tls_ca,
            tls_cert=self.cql_tls_cert,
            tls_key=self.cql_tls_key,
        )


def is_cql(url: str | None) -> bool:
    return url is not None and url.startswith("cql://")
