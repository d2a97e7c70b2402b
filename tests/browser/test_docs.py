"""The API's pages: whole on a narrow screen, in both themes, and within the pages' policy."""

import pytest

from tests.browser.conftest import Visitors
from tests.system import System

NARROW = (360, 740)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/docs", "/docs/errors"])
def test_a_narrow_screen_holds_the_page(system: System, visitors: Visitors, path: str, scheme: str) -> None:
    page = visitors.page(NARROW, scheme=scheme, touch=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(system.url + path)
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= NARROW[0], "it must be scrolled sideways"
    assert all(url.startswith(system.url) for url in asked), asked
    background, colour = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
    dark_first = sum(map(int, background[4:-1].split(","))) < sum(map(int, colour[4:-1].split(",")))
    assert dark_first == (scheme == "dark")


def test_the_type_of_a_problem_leads_to_its_reason(system: System, visitors: Visitors) -> None:
    problem = system.request("GET", "/v1/streams/nothing-here").json()
    page = visitors.page()
    page.goto(system.url + problem["type"])
    section = page.locator(":target")
    assert "What to do" in section.inner_text()
    assert section.get_by_role("heading").inner_text() == problem["reason"] == "STREAM_NOT_FOUND"
