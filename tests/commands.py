"""Commands of the project's pages, run as they stand there."""

import os
import random
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.processes import Process

_AT_LOOPBACK = re.compile(r"(?<=127\.0\.0\.1:)\d+")


def bash(script: str, folder: Path, timeout_s: float = 60, **variables: str) -> str:
    """What a script prints; fails when its last command fails."""
    environment = {**os.environ, "no_proxy": "*", **variables}
    done = subprocess.run(
        ["bash", "-uc", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def terminal(name: str, line: str, folder: Path, program: str = ".venv/", **variables: str) -> Process:
    """A line that a page has typed into a terminal of its own, in a folder; enter it to start it.

    ``program``: how what stays running begins. It takes the shell's place: what is ended in the end is the service.
    """
    assert line.count(program) == 1, line
    command = 'cd "$0"; ' + line.replace(program, f"exec {program}")
    return Process(name, ["bash", "-c", command, str(folder)], folder, variables)


def with_environment(folder: Path) -> Path:
    """The folder, in which ``.venv`` is this environment, as in a checkout."""
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


def free_ports(count: int) -> list[str]:
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [str(probe.getsockname()[1]) for probe in sockets]


def answers(port: int) -> bool:
    """Somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Elsewhere:
    """The ports that a page names, moved by as much as it takes for all of them to be free.

    To below those that the kernel gives to connections: one of these could be taken again at any moment.
    """

    def __init__(self, *texts: str) -> None:
        named = {int(port) for text in texts for port in _AT_LOOPBACK.findall(text)}
        assert named, "the texts name no port of 127.0.0.1"
        # The one behind each, too: some take two in a row.
        wanted = named | {port + 1 for port in named}
        for _ in range(100):
            self._by = random.randint(10_000 - min(named), 32_000 - max(named))
            if all(_is_free(port + self._by) for port in wanted):
                return
        raise AssertionError("this machine has no free ports")

    def port(self, named: int) -> int:
        return named + self._by

    def __call__(self, text: str) -> str:
        """A text of the page with the ports that there are."""
        return _AT_LOOPBACK.sub(lambda port: str(self.port(int(port[0]))), text)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
