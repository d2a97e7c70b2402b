"""The CQL server that a run of tests shares, and keyspaces in it."""

import fcntl
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cassandra.cluster import Session

from storage.cql.opening import migrate_keyspace
from storage.cql.options import Options, compaction
from storage.cql.servers import Servers
from tests.cql.keeper import FAILED, READY, USERS
from tests.processes import REPOSITORY, eventually

OPTIONS = Options(replicas=1, keyspace="", comments=compaction(None))
_START_S = 210


@contextmanager
def shared_server(folder: Path) -> Iterator[int]:
    """The port of the run's server: the first who asks starts it, with the last it ends. All name the same folder."""
    folder.mkdir(exist_ok=True)
    with (folder / USERS).open("a") as users, (folder / "starting").open("a") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        ready, failed = folder / READY, folder / FAILED
        if not ready.exists():
            failed.unlink(missing_ok=True)
            with (folder / "keeper.out").open("ab") as output:
                subprocess.run(
                    [sys.executable, "-m", "tests.cql.keeper", folder],
                    cwd=REPOSITORY,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    check=True,
                    timeout=60,
                )
            eventually(lambda: ready.exists() or failed.exists(), f"the keeper of {folder} is ready", _START_S)
        fcntl.flock(starting, fcntl.LOCK_UN)
        assert not failed.exists(), failed.read_text()
        yield int(ready.read_text())


def new_keyspace(port: int) -> Servers:
    """A keyspace of the newest schema, unlike any other."""
    servers = Servers(("127.0.0.1",), port, f"k{uuid.uuid4().hex[:16]}")
    migrate_keyspace(servers, OPTIONS)
    return servers


def empty(session: Session) -> None:
    """Takes all rows out of the session's keyspace, which costs less than another one."""
    tables = ("positions", "streams", "stream_buckets", "comments")
    for answer in [session.execute_async(f"TRUNCATE {table}") for table in tables]:
        answer.result()
