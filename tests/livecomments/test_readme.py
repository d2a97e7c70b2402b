"""The README says what is."""

import re

from scripts import settings_table
from tests.processes import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def test_the_readme_names_every_setting_with_its_default() -> None:
    begin, end = README.index(settings_table.BEGIN), README.index(settings_table.END)
    written = README[begin + len(settings_table.BEGIN) : end].strip()
    assert written == settings_table.table(), "run scripts/settings-table and put what it prints into the README"


def test_what_the_readme_links_to_is_there() -> None:
    links = re.findall(r'(?:\]\(|src="|srcset=")([^)"]+)', README)
    assert {"CONTRIBUTING.md", "docs/screenshots/watch-dark.png", "docs/screenshots/watch-light.png"} <= set(links)
    assert [link for link in links if "://" not in link and not (REPOSITORY / link).exists()] == []
