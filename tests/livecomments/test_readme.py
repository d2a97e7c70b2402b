"""The README and what it links to say what is."""

import re
from pathlib import Path

import pytest

from scripts import settings_table
from tests.processes import REPOSITORY

PAGES = [
    Path("README.md"),
    Path("CONTRIBUTING.md"),
    *(page.relative_to(REPOSITORY) for page in REPOSITORY.glob("docs/**/*.md")),
    *(page.relative_to(REPOSITORY) for page in REPOSITORY.glob("deploy/**/*.md")),
]


def test_the_page_of_settings_names_every_one_with_its_default() -> None:
    page = (REPOSITORY / "docs" / "settings.md").read_text()
    begin, end = page.index(settings_table.BEGIN), page.index(settings_table.END)
    written = page[begin + len(settings_table.BEGIN) : end].strip()
    assert written == settings_table.table(), "run scripts/settings-table and put what it prints into docs/settings.md"


def links(page: Path) -> list[str]:
    """Where a page leads, and what it shows; not what the examples in it do."""
    text = re.sub(r"^```.*?^```", "", (REPOSITORY / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r'(?:\]\(|src="|srcset=")([^)"]+)', text)


def headings(page: Path) -> set[str]:
    """The anchors of a page."""
    titles = re.findall(r"^#+ (.+)$", (REPOSITORY / page).read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_the_readme_shows_the_page_and_leads_to_every_other_text() -> None:
    shown = set(links(Path("README.md")))
    assert {"CONTRIBUTING.md", "docs/screenshots/watch-dark.png", "docs/screenshots/watch-light.png"} <= shown
    assert {str(page) for page in PAGES if page.parent == Path("docs")} <= shown


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for link in links(page):
        if "://" not in link:
            target, _, anchor = link.partition("#")
            found = REPOSITORY / page.parent / target if target else REPOSITORY / page
            assert found.exists(), link
            assert not anchor or anchor in headings(found.resolve().relative_to(REPOSITORY)), link
