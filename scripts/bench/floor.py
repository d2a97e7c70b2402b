"""The floor: ``floor/send_floor.c``, a loop that does nothing but what the kernel must do."""

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

import machine
from load import Load
from native import program

_REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


@dataclass(frozen=True)
class Sends:
    """What some rounds took."""

    count: int
    cpu_s: float

    @property
    def us(self) -> float:
        """CPU time of one."""
        return self.cpu_s / self.count * 1e6


class Floor:
    """The loop with its viewers seated, for as long as the context is open."""

    name = "C loop"

    def __init__(self, viewers: int, first_bytes: int = 0) -> None:
        """``first_bytes``: what each is given to begin with, besides a head."""
        self._viewers = viewers
        self._first_bytes = first_bytes
        self._open = ExitStack()

    def __enter__(self) -> Self:
        command = ["taskset", "-c", str(machine.cores()[0]), str(program("floor/send_floor.c"))]
        with ExitStack() as opening:
            self._process = subprocess.Popen(
                [*command, str(self._viewers), str(self._first_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
            # Ends when nothing more can be said to it, or when it can't say anything.
            opening.callback(self._process.communicate, timeout=30)
            load = opening.enter_context(Load(int(self._hear("port")[0]), _REQUEST, self._viewers))
            load.open(self._viewers)
            count, cpu_s = self._hear("joins")
            self.joins = Sends(int(count), float(cpu_s))
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def write(self, rounds: int, size: int, period_s: float) -> Sends:
        """``rounds`` times ``size`` bytes to everyone, a round each ``period_s``."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"rounds {rounds} {size} {round(period_s * 1e6)}\n")
        sent, refused, cpu_s = self._hear("sends")
        return Sends(int(sent) + int(refused), float(cpu_s))

    def _hear(self, word: str) -> list[str]:
        assert self._process.stdout is not None
        first, *rest = (self._process.stdout.readline() or "nothing").split()
        if first != word:
            raise SystemExit(f"the C loop said {first} instead of {word}")
        return rest
