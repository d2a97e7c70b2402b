"""scripts/up on machines that lack something. That it installs is seen by CI, which begins on a new machine."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import REPOSITORY

TOOLS = ("bash", "cat", "cksum", "dirname", "flock", "grep", "head", "rm")
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-uv.lock")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh checkout in a folder with a space in its name; beside it ``bin``, all that is on PATH."""
    checkout = tmp_path / "my checkout"
    shutil.copytree(REPOSITORY / "scripts", checkout / "scripts")
    for name in (*LOCKS, "pyproject.toml"):
        shutil.copy(REPOSITORY / name, checkout)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    return checkout


def put(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def up(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout.parent / "bin/bash", checkout / "scripts/up", *arguments],
        cwd="/",
        env={"PATH": str(checkout.parent / "bin")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_machine_without_python_is_told_what_is_needed(checkout: Path) -> None:
    ended = up(checkout)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "up: Python 3.11 or newer is needed (looked for python3.13, python3.12, python3.11 and python3)"
    ]


def put_python(checkout: Path, name: str, us: int, *, venv: str = "exit 3") -> None:
    """A Python that says it is so fast, and runs ``venv`` when it is to make an environment in the folder ``$4``."""
    modules = f'case "$2" in venv) echo "made by {name}"; {venv};; pip) exit 1;; esac'
    put(checkout.parent / "bin", name, f'{modules}; case "$1" in *.py) echo "{us} $0";; esac')


def test_an_old_python_is_none(checkout: Path) -> None:
    put(checkout.parent / "bin", "python3", "exit 1")
    assert "Python 3.11 or newer is needed" in up(checkout).stderr


def test_a_python_without_venv_is_none(checkout: Path) -> None:
    put(checkout.parent / "bin", "python3", 'case "$1" in *.py) echo "100 $0";; *) exit 1;; esac')
    assert "Python 3.11 or newer is needed" in up(checkout).stderr


def test_a_machine_without_pip_is_told_the_way_out(checkout: Path) -> None:
    put_python(checkout, "python3", 100, venv="exit 0")
    ended = up(checkout)
    assert ended.returncode == 1
    assert "apt-get install python3-venv" in ended.stderr


def test_of_several_pythons_the_fastest_is_taken(checkout: Path) -> None:
    put_python(checkout, "python3.13", 1000)
    put_python(checkout, "python3.12", 850)
    put_python(checkout, "python3.11", 700)
    put_python(checkout, "python3", 900)
    ended = up(checkout)
    assert ended.stdout == "made by python3.11\n"
    assert "python3.11 could not make" in ended.stderr


def test_of_pythons_that_are_alike_the_newest_is_taken(checkout: Path) -> None:
    put_python(checkout, "python3.13", 1000)
    put_python(checkout, "python3.12", 950)
    put_python(checkout, "python3.11", 905)
    assert up(checkout).stdout == "made by python3.13\n"


def made_from(checkout: Path, lock: str) -> None:
    """As if installed, with programs that only say their names and arguments."""
    put(checkout / ".venv/bin", "python", "echo Python 3.11.0")
    put(checkout / ".venv/bin", "livecomments", 'echo "livecomments $*"')
    program = f'source "$0/scripts/environment"; stamp_of {lock} >"$venv/stamp"'
    subprocess.run([shutil.which("bash") or "", "-c", program, checkout], check=True, timeout=30)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_what_is_installed_is_not_installed_again(checkout: Path, lock: str) -> None:
    made_from(checkout, lock)
    ended = up(checkout, "--port", "81", "--data", "a b")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "livecomments up --port 81 --data a b\n", "")


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_anew(checkout: Path, changed: str) -> None:
    made_from(checkout, "requirements.lock")
    put(checkout / ".venv/uv/bin", "uv", 'echo "uv $1 $2"; exit 3')
    with (checkout / changed).open("a") as file:
        file.write("\n")
    ended = up(checkout)
    assert ended.returncode == 1
    assert "Installing" in ended.stderr
    assert "packages of requirements.lock could not be installed" in ended.stderr
    assert ended.stdout == "uv pip sync\n"


def test_an_environment_that_was_moved_is_made_anew(checkout: Path) -> None:
    made_from(checkout, "requirements.lock")
    moved = checkout.rename(checkout.with_name("moved"))
    assert "Python 3.11 or newer is needed" in up(moved).stderr
