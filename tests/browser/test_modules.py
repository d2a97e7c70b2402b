"""The pages' modules that know no document, under node's own test runner."""

import subprocess

import pytest

from tests.browser.conftest import program
from tests.processes import REPOSITORY

TESTS = sorted((REPOSITORY / "tests" / "browser" / "model").glob("*.test.mjs"))


@pytest.mark.timeout(60)
def test_the_modules_hold_what_their_tests_say() -> None:
    node = program(("node", "nodejs"), "node (18 or newer)")
    assert TESTS
    run = subprocess.run([node, "--test", *map(str, TESTS)], capture_output=True, text=True, timeout=50, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_module_is_reached_by_a_page() -> None:
    static = REPOSITORY / "edge" / "static"
    modules = {path.name for path in static.glob("*/*.js") if path.parent.name != "pages"}
    imports = "".join(path.read_text() for path in static.glob("*/*.js"))
    assert not {name for name in modules if f'/{name}";' not in imports}
