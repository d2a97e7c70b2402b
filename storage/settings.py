"""What storage can be told."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from livecomments.settings import Settings

_SQLITE = "sqlite:///"


class StorageSettings(Settings):
    """Settings of storage, beside those that all services share."""

    storage_listen: str = "127.0.0.1:0"
    """Where HistoryService is served."""
    storage_metrics_listen: str = "127.0.0.1:0"
    """Where Prometheus reads."""
    storage_url: str | None = None
    """The database, ``sqlite:///<path>`` (four slashes begin an absolute path); default ``<data_dir>/comments.db``."""
    log_hours: Annotated[float, Field(ge=0.1)] = 24.0
    """How long the log keeps what is written, hours; what is not written stays in any case. Not below six minutes:
    core and fanout read the last minutes from the log."""

    @field_validator("storage_url")
    @classmethod
    def _known_database(cls, url: str | None) -> str | None:
        if url is None or (len(url) > len(_SQLITE) and url.startswith(_SQLITE)):
            return url
        if url.startswith("cql://"):
            raise ValueError("cql:// is not supported by this version: use sqlite:///<path>")
        raise ValueError("must be sqlite:///<path>")

    def database_file(self) -> Path:
        """The file of the SQLite database."""
        if self.storage_url is None:
            return self.data_dir / "comments.db"
        return Path(self.storage_url.removeprefix(_SQLITE))
