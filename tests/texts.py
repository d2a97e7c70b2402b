"""The project's pages as tests read them: each example by its page, its headings and its language."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.processes import REPOSITORY

_FENCE = "```"


@dataclass(frozen=True)
class Example:
    """A fenced block of a page."""

    headings: tuple[str, ...]
    """Those that it stands under, from the page's title to the nearest."""
    language: str
    """Empty where the fence names none."""
    text: str
    """What stands between the fences, with the last line feed."""


def examples(page: str, language: str, *, under: str = "") -> list[str]:
    """The texts of a page's examples in one language, in order; ``page`` is its path in the repository.

    ``under``: only those below this heading, its subheadings among them. Fails where there is none.
    """
    every = read(page)
    found = [each.text for each in every if each.language == language and (not under or under in each.headings)]
    assert found, f"{page} has no {language} example{under and f' under {under!r}'}; it has " + (
        "; ".join(f"{each.language or 'one without a language'} in {each.headings[-1]!r}" for each in every) or "none"
    )
    return found


def read(page: str) -> list[Example]:
    """All examples of a page, in order. Fails where a fence is not closed, or stands before the page's title."""
    return list(_parsed(page, (REPOSITORY / page).read_text()))


def _parsed(page: str, text: str) -> Iterator[Example]:
    headings: tuple[str, ...] = ()
    language = ""
    inside: list[str] | None = None
    for line in text.splitlines():
        if inside is None and line.startswith(_FENCE):
            assert headings, f"{page} has an example before its title"
            language, inside = line.removeprefix(_FENCE), []
        elif inside is None:
            depth = len(line) - len(line.lstrip("#"))
            if 0 < depth < len(line) and line[depth] == " ":
                headings = (*headings[: depth - 1], line[depth + 1 :])
        elif line == _FENCE:
            yield Example(headings, language, "".join(f"{each}\n" for each in inside))
            inside = None
        else:
            inside.append(line)
    assert inside is None, f"{page} does not close its last example, which begins with {inside[:1]}"
