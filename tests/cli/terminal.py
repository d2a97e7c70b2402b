"""The command as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(sys.executable).parent / "livecomments"


@dataclass(frozen=True)
class Shown:
    """What a command left on the terminal."""

    code: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """As on a machine where nothing is set up."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIVECOMMENTS_")}
    return {**kept, "COLUMNS": "120", "NO_COLOR": "1", **(extra or {})}


def livecomments(*arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Shown:
    """Runs the command to its end."""
    ended = subprocess.run(
        [COMMAND, *arguments],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Shown(ended.returncode, ended.stdout, ended.stderr)
