"""The API's description is true: schemathesis tries what it says against the live edge."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import System

_HERE = Path(__file__).parent
_EXAMPLES = 5
"""Random requests of each operation and kind, besides those at the bounds of each parameter."""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Its own: the log of its edge is looked at, and with a cookie more is described."""
    settings = {"core_user_rate": "0", "edge_address_rate": "0", "edge_cookie": "livecomments"}
    with System(tmp_path_factory.mktemp("described"), **settings) as running:
        yield running


def test_schemathesis_finds_nothing(described: System, tmp_path: Path) -> None:
    described.create_stream("final")
    described.post("final", "one")
    tried = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", _HERE / "schemathesis.toml"),
            *("run", f"{described.url}/openapi.json", "--phases", "coverage,fuzzing"),
            *("--header", f"Authorization: Bearer {described.token('host', role='host')}"),
            # The same requests each time: what is found is found again.
            *("--seed", "1", "--generation-deterministic", "--max-examples", str(_EXAMPLES)),
            *("--request-timeout", "30", "--continue-on-failure", "--no-color"),
        ],
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(_HERE / "schemathesis_hooks.py")},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert tried.returncode == 0, tried.stdout[-20_000:] + tried.stderr[-2_000:]
    log = described.edge.output.read_text()
    assert "a request failed" not in log, log[-10_000:]
    assert "could not answer a request" not in log, log[-10_000:]
