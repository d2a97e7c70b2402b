"""Real processes for tests: nats-server and the four services, each killed by its own id."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from livecomments import leash
from livecomments.local import make_secrets, nats_server_binary, nats_url, write_nats_config

T = TypeVar("T")
REPOSITORY = Path(__file__).parent.parent
_STARTER = ThreadPoolExecutor(1, "starter")
"""Starts them all. A child on the leash dies with the thread that started it, and tests start some from threads that
end; this one lives as long as the test process.
"""
PATIENCE_S = 60.0
"""How long tests wait for what takes far less, but on machines that have much else to do."""


def eventually(find: Callable[[], T | None], what: str, timeout_s: float = PATIENCE_S) -> T:
    """The first truthy value that ``find`` gives; fails after the deadline, naming what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not (found := find()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.01)
    return found


class Process:
    """A child process with its output in a file beside the data. It dies with the test process, however that ends."""

    def __init__(self, name: str, command: list[str], data_dir: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.command = command
        self.env = {**os.environ, **(env or {})}
        self.output = data_dir / f"{name}.out"
        self.popen: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        self.popen = _STARTER.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        leashed = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *self.command]
        with self.output.open("ab") as output:
            return subprocess.Popen(
                leashed, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.env, cwd=REPOSITORY
            )

    def alive(self) -> bool:
        """False when it was not started; fails when it ended by itself."""
        if self.popen is None:
            return False
        code = self.popen.poll()
        assert code is None, f"{self.name} ended with {code}:\n{self.output.read_text()[-4000:]}"
        return True

    def descriptors(self) -> int:
        """How many it has open."""
        assert self.popen is not None
        return len(list(Path(f"/proc/{self.popen.pid}/fd").iterdir()))

    def signal(self, number: signal.Signals) -> None:
        assert self.popen is not None
        self.popen.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone. Does nothing to one that is not running."""
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait(10)
            self.popen = None

    def stop(self, timeout_s: float = PATIENCE_S) -> int:
        """SIGTERM; returns the exit code. Kills and fails when it takes longer."""
        assert self.popen is not None
        self.popen.terminate()
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not stop within {timeout_s} s") from None
        finally:
            self.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            # One that did not serve in time would be left running.
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # A frozen one would not even be reaped.
        self.kill()

    def start(self) -> None:
        self.spawn()


class NatsServer(Process):
    """nats-server with JetStream on file and fsync on. A restart keeps the port and the store."""

    def __init__(self, data_dir: Path, more: str = "") -> None:
        """``more``: what its configuration says besides."""
        self._data_dir = data_dir
        self._more = more
        self.url = ""
        super().__init__("nats-server", [], data_dir)

    def configured(self, usual: str) -> str:
        """Its configuration, made of the one that a local instance has."""
        return usual + self._more

    def start(self) -> None:
        port = int(self.url.rsplit(":", 1)[1]) if self.url else -1
        config = write_nats_config(self._data_dir, port)
        config.write_text(self.configured(config.read_text()))
        self.command = [str(nats_server_binary()), "-c", str(config)]
        self.spawn()
        self.url = eventually(lambda: (self.alive() and nats_url(self._data_dir)) or None, "nats-server serves")


class Service(Process):
    """One of our services, on ports of its own. A restart keeps them."""

    def __init__(self, name: str, data_dir: Path, instance: str = "", **settings: str) -> None:
        label = name + instance
        self._ports_file = data_dir / f"{label}.ports"
        self._service = name
        self._settings = settings
        self.address = "127.0.0.1:0"
        self.metrics = "127.0.0.1:0"
        self.tls_address = ""
        """Where the edge listens for TLS, if it does."""
        make_secrets(data_dir)
        self._base = {"LIVECOMMENTS_DATA_DIR": str(data_dir), "LIVECOMMENTS_PORTS_FILE": str(self._ports_file)}
        super().__init__(label, [sys.executable, "-m", name], data_dir)

    def start(self) -> None:
        self._ports_file.unlink(missing_ok=True)
        upper = self._service.upper()
        self.env = {
            **os.environ,
            **self._base,
            f"LIVECOMMENTS_{upper}_LISTEN": self.address,
            f"LIVECOMMENTS_{upper}_METRICS_LISTEN": self.metrics,
            **{f"LIVECOMMENTS_{key.upper()}": value for key, value in self._settings.items()},
        }
        self.spawn()
        eventually(lambda: self.alive() and self._ports_file.exists(), f"{self.name} serves", PATIENCE_S)
        ports = self.facts()
        self.address, self.metrics = ports["listen"], ports["metrics"]
        self.tls_address = ports.get("tls_listen", "")

    def facts(self) -> dict[str, Any]:
        """What it says of itself, once it serves."""
        facts: dict[str, Any] = json.loads(self._ports_file.read_text())
        return facts

    @contextmanager
    def logs_no_error(self) -> Iterator[None]:
        """Fails when an error was logged meanwhile."""
        before = len(self.output.read_text())
        yield
        logged = self.output.read_text()[before:]
        assert "Traceback" not in logged, logged
        assert '"level": "error"' not in logged, logged

    def metric(self, sample: str) -> float:
        """What it tells Prometheus under a name with its labels; 0 for what was not counted yet."""
        text = httpx.get(f"http://{self.metrics}/metrics", trust_env=False).text
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return float(values.get(sample, 0))
