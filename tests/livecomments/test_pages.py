"""Every example of the pages is run by some test, and every command that they name exists."""

import re
from pathlib import Path
from typing import Any

import grpc
import pytest
import typer.main

from livecomments.cli.main import app
from livecomments.errors import Reason
from scripts import settings_table
from tests.documented import CLAIMS, PAGES, SHOWN, Claim
from tests.processes import REPOSITORY
from tests.texts import Example, examples, read

_NAMED = re.compile(r"`((?:\.venv/bin/)?livecomments(?: [^`]+)?|(?:scripts|\.ci)/[^`]+)`")


def covers(claim: Claim, page: str, example: Example) -> bool:
    return (claim.page, claim.language) == (page, example.language) and claim.under in {"", *example.headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_example_is_run_by_a_test(page: str) -> None:
    unclaimed = [
        f"{example.language or 'one without a language'} in {example.headings[-1]!r}"
        for example in read(page)
        if example.language not in SHOWN and not any(covers(claim, page, example) for claim in CLAIMS)
    ]
    assert unclaimed == [], f"have a test run what {page} shows, and say in tests/documented.py which"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.page} {claim.under} {claim.language}")
def test_a_claim_is_of_examples_and_of_a_test_that_reads_them(claim: Claim) -> None:
    assert examples(claim.page, claim.language, under=claim.under)
    file, _, name = claim.test.partition("::")
    source = (REPOSITORY / file).read_text()
    assert f"def {name}(" in source, f"{claim.test} is gone"
    assert f'"{claim.page}"' in source, f"{file} does not read {claim.page}"


def test_the_first_two_commands_are_what_people_and_ci_run() -> None:
    assert examples("README.md", "sh") == ["scripts/up\n", "scripts/test\n"]
    assert "scripts/test" in (REPOSITORY / ".ci/run").read_text()


def commands(page: str) -> list[str]:
    """Those of ours that a page names in a sentence."""
    text = re.sub(r"^```.*?^```", "", (REPOSITORY / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    return _NAMED.findall(text)


def test_every_command_that_a_page_names_exists() -> None:
    named = {command for page in PAGES for command in commands(page)}
    assert len(named) > 20
    assert sorted(command for command in named if not exists(command)) == []


def test_every_metric_that_a_page_names_is_counted() -> None:
    named = {name for page in PAGES for name in re.findall(r"`(livecomments_\w+)`", (REPOSITORY / page).read_text())}
    assert len(named) > 10
    sources = "".join(
        source.read_text()
        for room in ("livecomments", "core", "fanout", "storage", "edge")
        for source in (REPOSITORY / room).glob("**/*.py")
    )
    assert sorted(name for name in named if f'"{name.removesuffix("_total")}' not in sources) == []


def test_every_setting_and_reason_that_a_page_names_exists() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r"`(?:LIVECOMMENTS_)?([A-Z][A-Z0-9]*_[A-Z0-9_]+)[`=]", (REPOSITORY / page).read_text())
    }
    known = {name for source in settings_table.SOURCES for name, *_ in settings_table.settings(source)}
    known |= {*Reason.__members__, *(code.name for code in grpc.StatusCode)}
    assert len(named & known) > 50
    # The command's own variable, and a word of CQL.
    assert named - known == {"LIVECOMMENTS_TOKEN", "LOCAL_QUORUM"}


def exists(command: str) -> bool:
    """There is such a script, or such a command with these options."""
    program, *words = command.split()
    if not program.endswith("livecomments"):
        return Path(REPOSITORY / program).exists()
    found: Any = typer.main.get_command(app)
    while words and words[0] in getattr(found, "commands", ()):
        found = found.commands[words.pop(0)]
    if hasattr(found, "commands") and words and not words[0].startswith("-"):
        return False
    options = {option for parameter in found.params for option in parameter.opts} | {"--help"}
    return {word for word in words if word.startswith("--")} <= options
