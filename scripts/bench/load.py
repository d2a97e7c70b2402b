"""Viewers: ``load/sse_load.c``, as many processes of it as the descriptors of one require."""

import itertools
import json
import subprocess
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import machine
from native import program

_AT_MOST = 18_000
"""Viewers of one process: below the usual hard limit for descriptors."""
_NAP_US = 300
_SAMPLES = 200
"""Viewers on which the latency is read."""

_sources = (f"127.0.{number // 250}.{2 + number % 250}" for number in itertools.count())
"""A fresh address for each process: the ports of one that has just ended are not free yet."""


@dataclass(frozen=True)
class Seen:
    """What all viewers saw between ``begin()`` and ``report()``."""

    comments: int
    """Times viewers."""
    doubled: int
    """Comments that a viewer had seen before, or that came after a later one."""
    skipped: int
    """Comments that a viewer did not see although it saw a later one."""
    read_bytes: int
    closed: int
    """Viewers that were disconnected."""
    late_ms: Counter[float]
    """How often a comment was read so long after it was due, on the sampled viewers."""

    def percentile_ms(self, share: float) -> float:
        """Not a number where nothing was seen."""
        rank = share * self.late_ms.total()
        for late_ms, count in sorted(self.late_ms.items()):
            rank -= count
            if rank <= 0:
                return late_ms
        return float("nan")


class Load:
    """Viewers on the load core, for as long as the context is open."""

    def __init__(self, port: int, request: bytes, viewers: int, nice: int = 0) -> None:
        """``viewers``: how many are going to be opened at most; ``nice``: how much others on the core come first."""
        self._port = port
        self._request = request
        self._at_most = viewers
        self._nice = nice
        self._processes: list[_Process] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            file = opening.enter_context(tempfile.NamedTemporaryFile())
            file.write(self._request)
            file.flush()
            sample_every = max(1, self._at_most // _SAMPLES)
            for _ in range(-(-self._at_most // _AT_MOST)):
                process = _Process(self._port, Path(file.name), sample_every, self._nice)
                self._processes.append(opening.enter_context(process))
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def open(self, count: int, at_once: int = 512) -> float:
        """Connects so many more, and returns how many seconds it took until all were answered.

        Ends the run when one is refused.
        """
        self.start_opening(count, at_once)
        return self.wait_until_open()

    def start_opening(self, count: int, at_once: int) -> None:
        """``at_once``: connections that are unanswered at any moment."""
        share, rest = divmod(count, len(self._processes))
        for number, process in enumerate(self._processes):
            process.say(f"open {share + (number < rest)} {-(-at_once // len(self._processes))}")

    def wait_until_open(self) -> float:
        """Seconds since ``start_opening()``."""
        answers = [process.hear() for process in self._processes]
        if any(answer["refused"] or answer["unanswered"] for answer in answers):
            raise Refused(sum(int(answer["refused"]) + int(answer["unanswered"]) for answer in answers))
        return max(float(answer["seconds"]) for answer in answers)

    def begin(self) -> None:
        """Counts anew."""
        for process in self._processes:
            process.say("begin")
        for process in self._processes:
            process.hear()

    def report(self) -> Seen:
        """What was seen since ``begin()``."""
        for process in self._processes:
            process.say("report")
        answers = [process.hear() for process in self._processes]
        late_ms: Counter[float] = Counter()
        for answer in answers:
            for tick, count in answer["late"]:
                late_ms[tick * answer["tick_us"] / 1000] += count

        def total(name: str) -> int:
            return sum(int(answer[name]) for answer in answers)

        return Seen(total("comments"), total("doubled"), total("skipped"), total("bytes"), total("closed"), late_ms)


class Refused(Exception):
    """A server did not let all viewers in: refused them, or let them wait for a minute."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} viewers were not let in")
        self.count = count


class _Process:
    def __init__(self, port: int, request: Path, sample_every: int, nice: int) -> None:
        core = machine.cores()[1]
        command = ["nice", "-n", str(nice), "taskset", "-c", str(core), str(program("load/sse_load.c"))]
        self._process = subprocess.Popen(
            [*command, str(port), next(_sources), str(request), str(sample_every), str(_NAP_US)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")

    def hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the load generator ended with {self._process.wait()}")
        return json.loads(line)
