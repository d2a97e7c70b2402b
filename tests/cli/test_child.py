"""Children: stopped in time, reaped, and never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from livecomments.cli.child import Child
from livecomments.cli.logs import LogFile
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


def wait_until_it_runs(child: Child) -> None:
    eventually(lambda: "here" in child.log.path.read_text(), "the child runs")


async def test_a_child_that_ends_is_reaped_and_its_words_are_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", "import sys; print('last words'); sys.exit(7)"]
    child = Child("x", command, os.environ, LogFile(tmp_path / "x.log"))
    with trio.fail_after(10):
        await child.watch()
    assert (child.exit_code, child.epitaph()) == (7, "exit code 7")
    assert child.log.last_lines(5) == ["last words"]
    assert gone(child.pid)


async def test_a_child_stops_on_sigterm(tmp_path: Path) -> None:
    child = Child("x", SLEEPER, os.environ, LogFile(tmp_path / "x.log"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(child.watch)
        wait_until_it_runs(child)
        assert await child.stop(10)
    assert child.epitaph() == "killed by SIGTERM"


async def test_a_child_that_does_not_listen_is_killed_at_the_deadline(tmp_path: Path) -> None:
    child = Child("x", STUBBORN, os.environ, LogFile(tmp_path / "x.log"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(child.watch)
        wait_until_it_runs(child)
        assert not await child.stop(0.05)
    assert child.epitaph() == "killed by SIGKILL"


async def test_a_frozen_child_is_killed_at_the_deadline(tmp_path: Path) -> None:
    child = Child("x", SLEEPER, os.environ, LogFile(tmp_path / "x.log"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(child.watch)
        wait_until_it_runs(child)
        os.kill(child.pid, signal.SIGSTOP)
        # Until then SIGTERM would still come through.
        eventually(lambda: state(child.pid) == "T", "it is frozen")
        assert not await child.stop(0.05)
    assert gone(child.pid)


def test_a_child_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = f"""
import os, time
from pathlib import Path
from livecomments.cli.child import Child
from livecomments.cli.logs import LogFile
import trio
async def main():
    child = Child("x", {STUBBORN!r}, os.environ, LogFile(Path({str(tmp_path)!r}) / "x.log"))
    # A worker thread comes and goes: it must not take the child with it.
    await trio.to_thread.run_sync(lambda: None)
    Path({str(tmp_path)!r}, "pid").write_text(str(child.pid))
    await child.watch()
trio.run(main)
"""
    parent = subprocess.Popen([sys.executable, "-c", program])
    try:
        eventually(lambda: (tmp_path / "x.log").exists() and "here" in (tmp_path / "x.log").read_text(), "it runs")
        pid = int(eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "its pid"))
        assert not gone(pid)
    finally:
        parent.kill()
        parent.wait(10)
    eventually(lambda: gone(pid), "the child is gone")
