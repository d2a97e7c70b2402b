"""Other languages' toolchains, and the examples that are built with them."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.commands import bash, with_environment
from tests.processes import REPOSITORY
from tests.system import System

_PLACES = os.pathsep.join((os.environ["PATH"], "/usr/local/go/bin"))
BUILD_S = 400
"""A machine that never did it compiles all of grpc."""
_QUIET_AND_PINNED = {
    # The versions of go.mod and go.sum, and the Go that is there: nothing else is fetched.
    "GOFLAGS": "-mod=readonly -buildvcs=false",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_ignore_scripts": "true",
    "npm_config_prefer_offline": "true",
    "MAVEN_ARGS": "-B",
}


def require(program: str) -> None:
    """Skips the test that asks where there is no such program; in CI, fails it."""
    if shutil.which(program, path=_PLACES) is None:
        why = f"there is no {program}; scripts/test installs it where it can"
        assert not os.environ.get("CI"), why
        pytest.skip(why)


class Checkout:
    """A copy of ``examples/<language>`` and what its page's commands need beside it, to be built and run."""

    def __init__(self, language: str, folder: Path) -> None:
        self.folder = with_environment(folder)
        self.example = folder / "examples" / language
        made = shutil.ignore_patterns("bin", "dist", "gen", "node_modules", "target")
        shutil.copytree(REPOSITORY / "examples" / language, self.example, ignore=made)
        shutil.copytree(REPOSITORY / "protos", folder / "protos")
        shutil.copy(REPOSITORY / "buf.yaml", folder)
        self.variables = {**_QUIET_AND_PINNED, "PATH": _PLACES}

    def beside(self, system: System, fanout: str = "") -> None:
        """As if ``scripts/up`` ran there. ``fanout``: the address of another one than the system's."""
        data = self.folder / "data"
        data.mkdir()
        (data / "secrets").symlink_to(system.data_dir / "secrets")
        addresses = {"core": system.core.address, "fanout": fanout or system.fanout.address}
        (data / "instance.json").write_text(json.dumps(addresses))

    def run(self, script: str) -> str:
        """What commands print; fails at the first that fails."""
        return bash(f"set -e\n{script}", self.folder, BUILD_S, **self.variables)
