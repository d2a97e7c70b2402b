"""Processes of a benchmark's run, each on the core that is meant for it."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from native import REPOSITORY

T = TypeVar("T")
_START_S = 30.0
_STOP_S = 15.0


class Child:
    """A process pinned to a core, for as long as the context is open. What it says goes to a file in ``folder``."""

    def __init__(
        self, name: str, command: list[str], core: int | str, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._output = folder / f"{name}.out"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                ["taskset", "-c", str(core), *command],
                env={**os.environ, **(environment or {})},
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def until(self, find: Callable[[], T | None], what: str) -> T:
        """The first truthy value that ``find`` gives. Ends the run when the process ends before, or takes too long."""
        deadline = time.monotonic() + _START_S
        while not (found := find()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self.name}: {what}: not so:\n{self._output.read_text()[-2000:]}")
            time.sleep(0.02)
        return found


def ports(path: Path) -> dict[str, str] | None:
    """The addresses that a service has told, once it has."""
    try:
        told: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return told
