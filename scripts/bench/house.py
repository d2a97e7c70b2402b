"""nats-server and some of our services, each a process, in a folder of their own and on the cores meant for them."""

import http.client
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import machine
from children import Child, ports
from native import HERE

from livecomments.local import make_secrets, nats_server_binary, nats_url, write_nats_config
from livecomments.settings import Settings

LOG = "nats-server"


class House:
    """Starts on entering with nats-server alone; ``start()`` adds a service, each after those that it needs."""

    def __init__(self, measured: str, settings: Mapping[str, str], profile: Path | None = None) -> None:
        """``measured``: what has the first core for itself; ``settings``: of all services, without the prefix.

        ``profile``: where cProfile writes what the measured service did; a path from the repository's folder.
        """
        self._measured = measured
        self._settings = dict(settings)
        self._profile = profile
        self._open = ExitStack()
        self.pids: dict[str, int] = {}
        """By name, of all that runs."""
        self._metrics: dict[str, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self.folder = Path(opening.enter_context(tempfile.TemporaryDirectory()))
            make_secrets(self.folder)
            config = write_nats_config(self.folder)
            server = self._child(opening, LOG, [str(nats_server_binary()), "-c", str(config)], {})
            self.nats_url = server.until(lambda: nats_url(self.folder), "has said where it listens")
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def start(self, name: str) -> tuple[Child, dict[str, str]]:
        """One more service, and its addresses (``listen``, ``metrics``); those that start later are told of it."""
        file = self.folder / f"{name}.ports"
        settings = {
            **self._settings,
            "DATA_DIR": str(self.folder),
            "PORTS_FILE": str(file),
            "NATS_URL": self.nats_url,
            f"{name.upper()}_LISTEN": "127.0.0.1:0",
            f"{name.upper()}_METRICS_LISTEN": "127.0.0.1:0",
        }
        is_profiled = self._profile is not None and name == self._measured
        program = [str(HERE / "profiled.py"), str(self._profile)] if is_profiled else ["-m"]
        environment = {f"LIVECOMMENTS_{key}": value for key, value in settings.items()}
        child = self._child(self._open, name, [sys.executable, *program, name], environment)
        addresses = child.until(lambda: ports(file), "has said where it listens")
        self._settings[f"{name.upper()}_URLS"] = addresses["listen"]
        self._metrics[name] = addresses["metrics"]
        return child, addresses

    def _child(self, opening: ExitStack, name: str, command: list[str], environment: Mapping[str, str]) -> Child:
        first, last = machine.cores()
        core = first if name == self._measured else last
        child = opening.enter_context(Child(name, command, core, self.folder, environment))
        self.pids[name] = child.pid
        return child

    def settings(self) -> Settings:
        """For a client of this house: its secrets, and where its log is."""
        return Settings(data_dir=self.folder, nats_url=(self.nats_url,))

    def token(self, user: str, role: str = "viewer") -> str:
        """Who has it is this user, for as long as a run may take."""
        return self.settings().token_key().issue(user, role=role, ttl_s=3_600)

    def sample(self, service: str, name: str) -> float:
        """What a service tells Prometheus under a name; 0 for what it has not counted yet."""
        lines = ask(self._metrics[service], "GET", "/metrics")[1].splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def cpu_seconds(self) -> dict[str, float]:
        """What each process has taken so far."""
        return {name: machine.cpu_seconds([pid]) for name, pid in self.pids.items()}


def ask(
    address: str, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """One request: status and body."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
