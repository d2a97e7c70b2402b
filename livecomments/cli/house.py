"""The processes of a local instance: started when what they need serves, drained in the order in which data passes."""

import json
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import trio

from livecomments.child import Child
from livecomments.cli.environment import child_environment, stop_deadline_s
from livecomments.cli.logs import LogFile, parse
from livecomments.local import nats_server_binary, nats_url, write_nats_config

NATS = "nats-server"
START_ORDER = (NATS, "storage", "core", "fanout", "edge")
DRAIN_ORDER = ("edge", "fanout", "core", "storage", NATS)
_POLL_S = 0.02
_LAST_LINES = 8


@dataclass(frozen=True, slots=True)
class Death:
    """A child ended that should not have."""

    name: str
    how: str
    exit_code: int
    last_lines: tuple[str, ...]
    """The end of its log."""


class House:
    """The children, each watched by a task of one nursery."""

    def __init__(self, data_dir: Path, port: int, nursery: trio.Nursery, on_death: Callable[[Death], None]) -> None:
        """``on_death`` is told of the first child that ends by itself."""
        self._data_dir = data_dir
        self._port = port
        self._nursery = nursery
        self._on_death: Callable[[Death], None] | None = on_death
        self.children: dict[str, Child] = {}
        self.logs: dict[str, LogFile] = {}
        self.addresses: dict[str, str] = {}
        """Where each serves, once it does: ``host:port``, for nats-server its URL."""

    async def open(self) -> AsyncGenerator[list[str], None]:
        """Starts all; yields, after each step, those that don't serve yet, and ends when the edge has its port.

        Raises OSError. Waits for ever for a child that hangs: bound it.
        """
        config = write_nats_config(self._data_dir)
        self._spawn(NATS, [str(nats_server_binary()), "-c", str(config)], os.environ)
        yield self._missing()
        while (url := nats_url(self._data_dir)) is None:
            await trio.sleep(_POLL_S)
        self.addresses[NATS] = url
        # Storage first: core and fanout ask it for what the log no longer has.
        for level in (("storage",), ("core", "fanout"), ("edge",)):
            for name in level:
                self._spawn_service(name)
            for name in level:
                yield self._missing()
                await self._serves(name)

    async def drain(self) -> list[str]:
        """Stops all, each before what it needs; returns the names of those that had to be killed."""
        self._on_death = None
        killed = []
        for name in DRAIN_ORDER:
            child = self.children.get(name)
            if (
                child is not None
                and not child.ended.is_set()
                and not await child.stop(stop_deadline_s(name, os.environ))
            ):
                killed.append(name)
        return killed

    def kill(self) -> None:
        """Ends all at once. Safe at any time."""
        self._on_death = None
        for child in self.children.values():
            child.kill()

    def _missing(self) -> list[str]:
        return [name for name in START_ORDER if name not in self.addresses]

    def _spawn_service(self, name: str) -> None:
        _ports_file(self._data_dir, name).unlink(missing_ok=True)
        settings = {
            "DATA_DIR": str(self._data_dir),
            "PORTS_FILE": str(_ports_file(self._data_dir, name)),
            "NATS_URL": self.addresses[NATS],
        }
        settings |= {f"{other.upper()}_URLS": address for other, address in self.addresses.items() if other != NATS}
        if name == "edge":
            settings["EDGE_LISTEN"] = f"127.0.0.1:{self._port}"
        # -P: a folder of that name where the user stands is not ours.
        self._spawn(name, [sys.executable, "-P", "-m", name], child_environment(name, settings))

    def _spawn(self, name: str, command: list[str], env: Mapping[str, str]) -> None:
        log = self.logs[name] = LogFile(self._data_dir / "logs" / f"{name}.log")
        with log.path.open("ab") as output:
            self.children[name] = Child(command, env, output)
        self._nursery.start_soon(self._watch, name)

    async def _serves(self, name: str) -> None:
        path = _ports_file(self._data_dir, name)
        while not path.exists():
            await trio.sleep(_POLL_S)
        self.addresses[name] = json.loads(path.read_text())["listen"]

    async def _watch(self, name: str) -> None:
        child = self.children[name]
        await child.watch()
        if self._on_death is not None:
            lines = tuple(parse(line).text for line in self.logs[name].last_lines(_LAST_LINES))
            on_death, self._on_death = self._on_death, None
            on_death(Death(name, child.epitaph(), child.exit_code or 0, lines))


def _ports_file(data_dir: Path, name: str) -> Path:
    return data_dir / "run" / f"{name}.ports"
