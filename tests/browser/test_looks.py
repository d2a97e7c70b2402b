"""How the pages look: pictures for people, and what can be measured: no sideways scrolling, contrast, no jumps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PHONE, Visitors
from tests.browser.pages import comments
from tests.processes import REPOSITORY
from tests.system import System

CROWD_TITLE = "From one socket to ten million screens"
TEXTS = (
    "Hello from Lisbon 👋",
    "first!",
    "This is the best part so far. From a bare socket to ten thousand viewers, with no framework in the way.",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2,
    "مرحبا بالجميع، هذا رائع جدا",
    "😂😂😂😂😂😂😂😂😂😂",
    "one line\nand another",
    "<b>not bold</b>",
    "https://example.com/a/very/long/path/that/does/not/break?with=query&and=more&and=even-more-of-it",
    "שלום לכולם",
)
PEOPLE = (
    ("ada", "Ada Lovelace"),
    ("omar", "عمر"),
    ("zed", "🦊 zed"),
    ("long", "a_very_long_user_name_without_any_space_in_it_at_all"),
    ("maria", "María José"),
    ("kim", "Kim"),
    ("bo", "bo"),
    ("host", "Grace Hopper"),
)
_CONTRAST = (REPOSITORY / "tests" / "browser" / "contrast.js").read_text()

_CUT_OFF = """() => [...document.querySelectorAll("main :is(button, select, input, a)")]
  .filter((control) => control.checkVisibility())
  .filter((control) => control.getBoundingClientRect().right > innerWidth)
  .map((control) => control.outerHTML)"""
"""Controls that one can't reach: what is cut off doesn't count as scrolling."""


@dataclass(frozen=True)
class Look:
    """One way to look at a page."""

    size: tuple[int, int]
    scheme: str
    folder: Path

    def page(self, visitors: Visitors) -> Page:
        return visitors.page(self.size, scheme=self.scheme, touch=self.size == PHONE)

    def check(self, page: Page, name: str) -> None:
        """Takes a picture of the page and measures what is on it."""
        page.screenshot(path=self.folder / f"{name}-{self.size[0]}-{self.scheme}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
        faint: list[Any] = page.evaluate(_CONTRAST)
        assert not faint


@pytest.fixture(params=[(PHONE, "light"), (PHONE, "dark"), (DESKTOP, "light"), (DESKTOP, "dark")], ids=str)
def look(request: pytest.FixtureRequest, screenshots: Path) -> Look:
    size, scheme = request.param
    return Look(size, scheme, screenshots)


@pytest.fixture(scope="module")
def crowd(system: System) -> str:
    """A stream with 200 comments of all kinds."""
    stream_id = system.create_stream(title=CROWD_TITLE)
    tokens = [system.token(user, name=name, role="host" if user == "host" else "viewer") for user, name in PEOPLE]
    for number in range(200):
        text = TEXTS[number % len(TEXTS)]
        posted = system.try_post(stream_id, text, token=tokens[(number * 5 + number // 8) % len(tokens)])
        assert posted.status_code == 202, posted.text
    return stream_id


@pytest.fixture(scope="module")
def few(system: System) -> str:
    stream_id = system.create_stream(title="Three comments")
    for text in TEXTS[:3]:
        system.post(stream_id, text)
    return stream_id


def test_the_watch_page(system: System, visitors: Visitors, crowd: str, look: Look) -> None:
    page = look.page(visitors)
    visitors.watch(system, crowd, page=page)
    expect(comments(page).last).to_be_in_viewport()
    look.check(page, "watch")
    page.goto("about:blank")
    visitors.watch(system, crowd, "host", role="host", page=page)
    expect(comments(page).last).to_be_in_viewport()
    page.get_by_label("Your comment").fill("x" * 420)
    look.check(page, "composer")
    page.get_by_label("Your comment").fill("")
    comments(page).nth(-3).hover()
    comments(page).nth(-3).get_by_role("button").click()
    look.check(page, "menu")


def test_pages_with_little_on_them(system: System, visitors: Visitors, few: str, look: Look) -> None:
    page = look.page(visitors)
    visitors.watch(system, few, page=page)
    look.check(page, "watch-three")
    visitors.watch(system, system.create_stream(title="Nothing said yet"), page=page)
    look.check(page, "watch-empty")
    page.goto(f"{system.url}/watch/nowhere")
    expect(page.locator("#refused")).to_be_visible()
    look.check(page, "refused")


def test_the_replay_page(system: System, visitors: Visitors, crowd: str, look: Look) -> None:
    page = look.page(visitors)
    page.goto(f"{system.url}/replay/{crowd}")
    expect(page.get_by_role("button", name="Play")).to_be_enabled()
    page.keyboard.press("ArrowRight")
    expect(comments(page).first).to_be_visible()
    look.check(page, "replay")


@pytest.mark.usefixtures("crowd")
def test_the_first_page_and_its_dialogs(system: System, visitors: Visitors, look: Look) -> None:
    page = look.page(visitors)
    page.goto(system.url)
    expect(page.get_by_role("link", name=CROWD_TITLE, exact=True)).to_be_visible()
    look.check(page, "streams")
    page.get_by_role("button", name="Sign in").click()
    look.check(page, "sign-in")
    page.goto("about:blank")
    page.goto(f"{system.url}/#token={system.token('host', role='host')}")
    page.get_by_role("button", name="New stream").click()
    look.check(page, "new-stream")


def test_nothing_scrolls_sideways_on_the_narrowest_phone(system: System, visitors: Visitors, crowd: str) -> None:
    page = visitors.page((360, 640), touch=True)
    visitors.watch(system, crowd, "host", role="host", name="A host with quite a long name", page=page)
    video = "?video=/static/clip/clock.webm"
    for path in (f"/watch/{crowd}", f"/watch/{crowd}{video}", f"/replay/{crowd}", f"/replay/{crowd}{video}", "/"):
        page.goto(system.url + path)
        expect(page.locator("h1")).not_to_be_empty()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.evaluate(_CUT_OFF) == []


def test_the_page_does_not_jump_while_it_loads(system: System, visitors: Visitors, crowd: str) -> None:
    page = visitors.page()
    page.add_init_script(
        "window.jumped = 0; new PerformanceObserver(list => {"
        " for (const entry of list.getEntries()) window.jumped += entry.value;"
        "}).observe({type: 'layout-shift', buffered: true})"
    )
    visitors.watch(system, crowd, page=page)
    expect(comments(page).last).to_be_in_viewport()
    # Web Vitals call up to 0.1 good.
    assert page.evaluate("window.jumped") < 0.05
