"""Processes that run under strace, from their first call to their last."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.durability.syscalls import Call, parse
from tests.processes import NatsServer, Process, Service, eventually

_CALLS = "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,sync_file_range"
_LONGEST = 4 * 1024 * 1024
"""Bytes of one call that are shown; more is CutShort."""


def require_strace() -> None:
    """Skips the test where processes can't be traced."""
    if shutil.which("strace") is None:
        pytest.skip("strace is needed: scripts/test installs it")
    tried = subprocess.run(
        ["strace", "-o", "/dev/null", "true"], check=False, capture_output=True, text=True, timeout=30
    )
    if tried.returncode:
        pytest.skip(f"this environment lets no process be traced (ptrace): {tried.stderr.strip()}")


class Trace:
    """What strace writes of one process."""

    def __init__(self, path: Path, number: int = 0) -> None:
        """``number`` tells it from those of other processes."""
        self.path = path
        self._number = number

    @property
    def prefix(self) -> list[str]:
        """What stands before the command. -D: the process is ours, strace a stranger that ends with it."""
        options = ["-D", "-f", "-yy", "-ttt", "-T", "-s", str(_LONGEST), "-e", f"trace={_CALLS}", "-e", "signal=none"]
        program = shutil.which("strace")
        assert program is not None, "strace is needed: scripts/test installs it"
        return [program, *options, "-o", str(self.path)]

    def calls(self, process: Process) -> list[Call]:
        """Ends the process in peace, and reads what it did. Fails when it takes longer than usual."""
        assert process.popen is not None
        last = f"{process.popen.pid} "
        process.stop()

        def lines() -> list[str]:
            found = self.path.read_text().splitlines()
            return found if found and found[-1].startswith(last) and "+++ exited" in found[-1] else []

        return parse(eventually(lines, f"strace has written all that {process.name} did"), self._number)


class TracedNatsServer(NatsServer):
    """A nats-server under strace; ``sync_interval`` as in its configuration."""

    def __init__(self, data_dir: Path, sync_interval: str = "always") -> None:
        super().__init__(data_dir)
        self.trace = Trace(data_dir / "nats-server.trace")
        self._sync_interval = sync_interval

    def configured(self, usual: str) -> str:
        assert "sync_interval: always" in usual
        return usual.replace("sync_interval: always", f"sync_interval: {self._sync_interval}")

    def spawn(self) -> None:
        self.command = [*self.trace.prefix, *self.command]
        super().spawn()


class TracedService(Service):
    """One of our services under strace."""

    def __init__(self, name: str, data_dir: Path, **settings: str) -> None:
        super().__init__(name, data_dir, **settings)
        self.trace = Trace(data_dir / f"{name}.trace")
        self.command = [*self.trace.prefix, *self.command]
