"""The children's logs: files in ``<data>/logs``, and what of them people should see."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

KEPT = 3
"""Logs of earlier runs."""
LOG_MAX_BYTES = 32 * 1024 * 1024
_READ_MAX = 256 * 1024
_LEVELS = {"[WRN]": "warning", "[ERR]": "error", "[FTL]": "error"}
"""Marks of nats-server."""
_HIDDEN = frozenset({"event", "level", "timestamp", "service", "exception"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log, for people."""

    level: str
    """debug, info, warning, error; empty when the line has none (a traceback, a library's word)."""
    text: str

    @property
    def is_notable(self) -> bool:
        return self.level in ("warning", "error", "critical")


def parse(line: str) -> Line:
    """Reads a line as our services (JSON) or nats-server write it; anything else is kept as it is."""
    if line.startswith("{"):
        try:
            record = json.loads(line)
        except ValueError:
            return Line("", line)
        facts = " ".join(f"{key}={value}" for key, value in record.items() if key not in _HIDDEN)
        cause = _cause(str(record.get("exception", "")))
        text = " · ".join(part for part in (str(record.get("event", "")), facts, cause) if part)
        return Line(str(record.get("level", "")), text)
    for mark, level in _LEVELS.items():
        if mark in line:
            return Line(level, line.partition(mark)[2].strip())
    return Line("info" if "[INF]" in line else "", line)


def _cause(traceback: str) -> str:
    """The last line that says something: an exception group's is drawn into a tree."""
    lines = (line.strip(" |+-") for line in reversed(traceback.splitlines()))
    return next((line for line in lines if line), "")


class LogFile:
    """A child's output: written by the child itself, read and bounded here."""

    def __init__(self, path: Path) -> None:
        """Puts the log of the last run aside and begins a new one; raises OSError."""
        self.path = path
        self._read = 0
        self._rest = b""
        path.parent.mkdir(parents=True, exist_ok=True)
        for number in range(KEPT - 1, -1, -1):
            older = path if number == 0 else self._aside(number)
            if older.exists():
                older.rename(self._aside(number + 1))
        path.touch()

    def new_lines(self) -> list[str]:
        """Whole lines written since the last call, at most _READ_MAX bytes of them."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            fresh = file.read(_READ_MAX)
        self._read += len(fresh)
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        return [line.decode(errors="replace") for line in lines if line.strip()]

    def last_lines(self, count: int) -> list[str]:
        """The end of the log."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 64 * 1024))
            lines = file.read().decode(errors="replace").splitlines()
        return [line for line in lines if line.strip()][-count:]

    def bound(self) -> None:
        """Puts a log over LOG_MAX_BYTES aside. The child goes on writing to the same file, so it is copied and cut
        short; what it writes between the two is lost.
        """
        if self.path.stat().st_size > LOG_MAX_BYTES:
            shutil.copyfile(self.path, self._aside(1))
            with self.path.open("r+b") as file:
                file.truncate(0)
            self._read, self._rest = 0, b""

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
