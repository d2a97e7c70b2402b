"""The pages' modules that know no document, under node's own test runner."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.browser.conftest import program
from tests.processes import REPOSITORY

TESTS = sorted((REPOSITORY / "tests" / "browser").glob("*/*.test.mjs"))


@pytest.mark.timeout(60)
def test_the_modules_hold_what_their_tests_say() -> None:
    node = program(("node", "nodejs"), "node (18 or newer)")
    assert TESTS
    run = subprocess.run([node, "--test", *map(str, TESTS)], capture_output=True, text=True, timeout=50, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


STATIC = REPOSITORY / "edge" / "static"
_IMPORT = re.compile(r'^(?:import|export)[^;]*?from "(\.[^"]+)";', re.MULTILINE)
PAGES = {"index.html": "home.js", "watch.html": "watch.js", "replay.html": "replay.js"}


def imported_by(entry: Path) -> set[Path]:
    """All modules that a page's own module leads to."""
    found: set[Path] = set()
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        # By its address, and not by where the link to the client leads.
        named = {Path(os.path.normpath(module.parent / name)) for name in _IMPORT.findall(module.read_text())}
        waiting += named - found
        found |= named
    return found


@pytest.mark.parametrize(("page", "entry"), PAGES.items())
def test_a_page_asks_for_all_of_its_modules_at_once(page: str, entry: str) -> None:
    """Found one import after the other they would cost a round trip for each level."""
    preloaded = re.findall(r'<link rel="modulepreload" href="/static/([^"]+)">', (STATIC / page).read_text())
    assert sorted(preloaded) == sorted(
        str(module.relative_to(STATIC)) for module in imported_by(STATIC / "pages" / entry)
    )


def test_the_pages_use_the_client_as_anyone_does() -> None:
    """What it exports, and nothing of what stands behind that."""
    modules = [module for module in STATIC.glob("*/*.js") if module.parent.name != "client"]
    named = {name for module in modules for name in _IMPORT.findall(module.read_text()) if "/client/" in name}
    assert named == {"../client/index.js"}


def test_every_module_is_reached_by_a_page() -> None:
    reached = set.union(*(imported_by(STATIC / "pages" / entry) for entry in PAGES.values()))
    pages_own = {module for module in reached if not module.is_relative_to(STATIC / "client")}
    assert {
        module for folder in ("list", "model", "video", "view") for module in STATIC.glob(f"{folder}/*.js")
    } == pages_own
