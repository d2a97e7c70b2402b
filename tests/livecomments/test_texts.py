"""How tests find the examples of pages."""

from pathlib import Path

import pytest

from tests import texts
from tests.texts import Example, examples, read

PAGE = """# Title

```sh
up
```

## One

```python
# not a heading
```

### Deeper

```sh
go
```

## Two

Text with `code`.

```
plain
```
"""


@pytest.fixture(autouse=True)
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two pages."""
    monkeypatch.setattr(texts, "REPOSITORY", tmp_path)
    (tmp_path / "page.md").write_text(PAGE)
    (tmp_path / "open.md").write_text("# Title\n\n```sh\nup\n")
    return tmp_path


def test_an_example_knows_its_headings_and_its_language() -> None:
    assert read("page.md") == [
        Example(("Title",), "sh", "up\n"),
        Example(("Title", "One"), "python", "# not a heading\n"),
        Example(("Title", "One", "Deeper"), "sh", "go\n"),
        Example(("Title", "Two"), "", "plain\n"),
    ]


def test_examples_are_those_of_a_language_below_a_heading() -> None:
    assert examples("page.md", "sh") == ["up\n", "go\n"]
    assert examples("page.md", "sh", under="One") == ["go\n"]


def test_a_page_without_the_wanted_example_says_what_it_has() -> None:
    with pytest.raises(
        AssertionError, match=r"page\.md has no sh example under 'Two'; it has sh in 'Title'; python in"
    ):
        examples("page.md", "sh", under="Two")


def test_an_example_that_is_not_closed_is_named() -> None:
    with pytest.raises(AssertionError, match=r"open\.md does not close its last example, which begins with \['up'\]"):
        read("open.md")
