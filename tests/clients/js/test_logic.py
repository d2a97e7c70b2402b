"""What of the JavaScript client needs no browser, under node's own test runner: no network, and clocks of its own."""

import subprocess

from tests.browser.conftest import program
from tests.processes import REPOSITORY

TESTS = sorted((REPOSITORY / "tests" / "clients" / "js" / "logic").glob("*.test.mjs"))


def test_the_modules_hold_what_their_tests_say() -> None:
    node = program(("node", "nodejs"), "node (20 or newer)")
    assert TESTS
    run = subprocess.run([node, "--test", *map(str, TESTS)], capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
