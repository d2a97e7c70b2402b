"""A data folder as an instance: who holds it, and where its parts listen."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from livecomments.cli import CommandError


@dataclass(frozen=True, slots=True)
class Instance:
    """Addresses of a running local instance, ``host:port`` each."""

    http: str
    """URL of the edge, without a slash at its end."""
    core: str
    fanout: str
    storage: str
    nats: str
    """URL."""
    pids: dict[str, int] = field(default_factory=dict)

    def save(self, data_dir: Path) -> None:
        """Tells others about it: whole or not at all."""
        unfinished = _file(data_dir).with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n")
        unfinished.rename(_file(data_dir))


def forget(data_dir: Path) -> None:
    """The instance is no more."""
    _file(data_dir).unlink(missing_ok=True)


def find(data_dir: Path) -> Instance:
    """The instance that runs on a data folder; raises CommandError when there is none."""
    try:
        # An instance that was killed leaves its file behind, but not its lock.
        if _is_held(data_dir):
            return Instance(**json.loads(_file(data_dir).read_text()))
    except FileNotFoundError:
        pass
    raise CommandError(f"no instance runs on {data_dir}: start one with scripts/up, or give addresses", exit_code=2)


@contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Makes the data folder and keeps every other instance out of it; raises CommandError."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = _lock(data_dir).open("a+")
    except OSError as error:
        raise CommandError(f"the data folder {data_dir} can't be written: {error.strerror}", exit_code=2) from error
    with lock:
        if not _take(lock):
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise CommandError(
                f"the data folder {data_dir} is in use by another instance (process {owner}): give another --data",
                exit_code=2,
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _take(lock: TextIO) -> bool:
    # Whoever looks for an instance holds the lock for a moment, too.
    for _ in range(5):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def _is_held(data_dir: Path) -> bool:
    with _lock(data_dir).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _file(data_dir: Path) -> Path:
    return data_dir / "instance.json"


def _lock(data_dir: Path) -> Path:
    return data_dir / "instance.lock"
