"""The README says what is."""

from pathlib import Path

from scripts import settings_table

README = (Path(__file__).parent.parent.parent / "README.md").read_text()


def test_the_readme_names_every_setting_with_its_default() -> None:
    begin, end = README.index(settings_table.BEGIN), README.index(settings_table.END)
    written = README[begin + len(settings_table.BEGIN) : end].strip()
    assert written == settings_table.table(), "run scripts/settings-table and put what it prints into the README"


def test_what_the_readme_links_to_is_there() -> None:
    root = Path(__file__).parent.parent.parent
    for name in ("CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "docs/screenshots/watch-dark.png"):
        assert (root / name).exists(), name
