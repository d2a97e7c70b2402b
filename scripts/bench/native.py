"""The C programs of the benchmarks, compiled when they are needed."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
_BUILD = REPOSITORY / "artifacts" / "bench"
"""Not under version control."""


def program(source: str) -> Path:
    """The program made from a C file of this folder. Ends the run with a clear line when it can't be made."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        raise SystemExit(
            "a C compiler is needed for the benchmarks: install cc (Debian: apt-get install gcc libc6-dev)"
        )
    path = HERE / source
    built = _BUILD / f"{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    if not built.exists():
        _BUILD.mkdir(parents=True, exist_ok=True)
        unfinished = built.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            [compiler, "-O2", "-Wall", "-Wextra", "-o", str(unfinished), str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{source} could not be compiled:\n{done.stderr}")
        unfinished.rename(built)
    return built
