"""Where a command finds the services, and who it is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from livecomments.cli.exits import Exit
from livecomments.cli.instance import find
from livecomments.cli.tokens import local_token, login_name

_QUICK_S = 60
_LONG_S = 3600


@dataclass(frozen=True, slots=True)
class Access:
    """The local instance of a data folder, or what the caller names in its place; methods raise CommandError."""

    data: Path
    token: str = ""
    """The caller's own; empty: one of the local instance is made."""
    core: str | None = None
    fanout: str | None = None
    storage: str | None = None

    def core_address(self) -> str:
        """``host:port``."""
        return self.core or find(self.data).core

    def fanout_address(self) -> str:
        """``host:port``."""
        return self.fanout or find(self.data).fanout

    def storage_address(self) -> str:
        """``host:port``."""
        return self.storage or find(self.data).storage

    def bearer(self, user: str | None, *, role: str = "viewer", name: str = "", stream_id: str = "") -> str:
        """A token of a user, who may watch the stream also if it is private."""
        streams = (stream_id,) if stream_id else ()
        return self.token or local_token(
            self.data, user or login_name(), name=name, role=role, ttl_s=_QUICK_S, streams=streams
        )

    def watcher(self, stream_id: str) -> str:
        """A token for who watches. With addresses alone: nobody, who may watch what is public."""
        if self.token or self.core or self.fanout or self.storage:
            return self.token
        return local_token(self.data, "tail", ttl_s=_LONG_S, streams=(stream_id,))


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Ctrl-C is a way to end this, and no accident."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
