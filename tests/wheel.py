"""The wheel that teams install, and an empty environment to install it into."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.processes import REPOSITORY


def build_wheel(folder: Path) -> Path:
    """The checkout's, as it stands."""
    program = "from hatchling.build import build_wheel; import sys; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, folder], cwd=REPOSITORY, check=True, timeout=60, capture_output=True)
    return next(folder.glob("*.whl"))


class Environment:
    """A virtual environment with nothing in it but what a wheel brings."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.python = folder / "bin" / "python"
        _uv("venv", "--quiet", "--python", sys.executable, str(folder))
        # From the lock, whose hashes uv checks; the network is needed only where uv's cache has been emptied since.
        install = ("pip", "install", "--quiet", "--python", str(self.python))
        what = ("--constraints", str(REPOSITORY / "requirements.lock"), str(wheel))
        try:
            _uv(*install, "--offline", *what)
        except AssertionError:
            _uv(*install, *what)

    def packages(self) -> set[str]:
        """The names of all that is installed."""
        return {
            package["name"] for package in json.loads(_uv("pip", "list", "--python", str(self.python), "--format=json"))
        }

    def run(self, program: str, folder: Path) -> str:
        """What a Python program prints; fails when that does."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [self.python, "-c", program],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _uv(*arguments: str) -> str:
    # scripts/environment puts it there where there is none.
    uv = shutil.which("uv") or str(Path(sys.prefix) / "uv" / "bin" / "uv")
    done = subprocess.run([uv, *arguments], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
