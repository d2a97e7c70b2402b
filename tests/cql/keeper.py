"""Keeps the CQL server that a run of tests shares: ``python -m tests.cql.keeper <folder>``.

A process of its own: whichever worker asked first may be done first. It lives as long as someone holds a lock on the
file ``users``; the kernel lets go of the locks of workers that were killed, so no server is left behind.
"""

import fcntl
import os
import shutil
import sys
from pathlib import Path

from tests.cql.server import CqlServer

READY, FAILED, USERS = "ready", "failed", "users"


def keep(folder: Path) -> None:
    """Returns when nobody uses the server any more, and it is gone."""
    try:
        with CqlServer(folder / "server") as server, (folder / USERS).open() as users:
            _tell(folder / READY, str(server.port))
            fcntl.flock(users, fcntl.LOCK_EX)
            (folder / READY).unlink()
    except AssertionError as error:
        _tell(folder / FAILED, str(error))
    shutil.rmtree(folder / "server", ignore_errors=True)


def _tell(path: Path, text: str) -> None:
    """Whole or not at all."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(text)
    unfinished.rename(path)


if __name__ == "__main__":
    # Whoever started us does not wait for our end.
    if os.fork():
        os._exit(0)
    os.setsid()
    keep(Path(sys.argv[1]))
