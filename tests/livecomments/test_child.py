"""Children: stopped in time, reaped, and never left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
import trio

from livecomments.child import Child
from tests.processes import eventually

pytestmark = pytest.mark.anyio
SLEEPER = [sys.executable, "-I", "-S", "-c", "print('here', flush=True); import time; time.sleep(600)"]
STUBBORN = [
    *SLEEPER[:-1],
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)",
]


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


def state(pid: int) -> str:
    """As ps shows it: R, S, T (stopped), Z (dead, but not reaped); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def gone(pid: int) -> bool:
    """Not there, or dead and waiting for whoever inherited it to notice."""
    return state(pid) in ("", "Z")


@pytest.fixture
def output(tmp_path: Path) -> Iterator[IO[bytes]]:
    """What the child writes; nothing yet."""
    with (tmp_path / "output").open("w+b") as file:
        yield file


def words(output: IO[bytes]) -> str:
    return Path(output.name).read_text()


def wait_until_it_runs(output: IO[bytes]) -> None:
    eventually(lambda: "here" in words(output), "the child runs")


async def test_a_child_that_ends_is_reaped_and_its_words_are_kept(output: IO[bytes]) -> None:
    command = [sys.executable, "-I", "-S", "-c", "import sys; print('last words'); sys.exit(7)"]
    child = Child(command, os.environ, output)
    with trio.fail_after(10):
        await child.watch()
    assert (child.exit_code, child.epitaph()) == (7, "exit code 7")
    assert words(output) == "last words\n"
    assert gone(child.pid)


async def test_a_child_stops_on_sigterm(output: IO[bytes]) -> None:
    child = Child(SLEEPER, os.environ, output)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(child.watch)
        wait_until_it_runs(output)
        assert await child.stop(10)
    assert child.epitaph() == "killed by SIGTERM"


async def test_a_child_that_does_not_listen_is_killed_at_the_deadline(output: IO[bytes]) -> None:
    child = Child(STUBBORN, os.environ, output)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(child.watch)
        wait_until_it_runs(output)
        assert not await child.stop(0.05)
    assert child.epitaph() == "killed by SIGKILL"


async def test_a_frozen_child_is_killed_at_the_deadline(output: IO[bytes]) -> None:
    child = Child(SLEEPER, os.environ, output)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(child.watch)
        wait_until_it_runs(output)
        os.kill(child.pid, signal.SIGSTOP)
        # Until then SIGTERM would still come through.
        eventually(lambda: state(child.pid) == "T", "it is frozen")
        assert not await child.stop(0.05)
    assert gone(child.pid)


def test_a_child_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = f"""
import os, time
from pathlib import Path
from livecomments.child import Child
import trio
async def main():
    with Path({str(tmp_path)!r}, "output").open("wb") as output:
        child = Child({STUBBORN!r}, os.environ, output)
    # A worker thread comes and goes: it must not take the child with it.
    await trio.to_thread.run_sync(lambda: None)
    Path({str(tmp_path)!r}, "pid").write_text(str(child.pid))
    await child.watch()
trio.run(main)
"""
    parent = subprocess.Popen([sys.executable, "-c", program])
    try:
        eventually(lambda: (tmp_path / "output").exists() and "here" in (tmp_path / "output").read_text(), "it runs")
        pid = int(eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "its pid"))
        assert not gone(pid)
    finally:
        parent.kill()
        parent.wait(10)
    eventually(lambda: gone(pid), "the child is gone")
