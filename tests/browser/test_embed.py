"""The pages that docs/embed.md shows, served from another address than the system's, as they stand there."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.clients import silence
from tests.browser.conftest import Visitors
from tests.browser.sites import serving
from tests.system import System
from tests.texts import examples

PAGE = "docs/embed.md"
WATCH, REPLAY = examples(PAGE, "html")
(SIGN_IN,) = examples(PAGE, "js")
PRINTED = "…what .venv/bin/livecomments token --user ann printed…"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, str]]:
    """A system, and the address of the pages, which it lets in."""
    folder = tmp_path_factory.mktemp("site")
    with serving(folder) as url, System(tmp_path_factory.mktemp("house"), edge_cors_origins=url) as system:
        for name, shown in (("watch", WATCH), ("replay", REPLAY)):
            page = shown.replace("http://127.0.0.1:8080", system.url).replace("recording.mp4", silence(5))
            (folder / f"{name}.html").write_text(page)
        yield system, url


def test_a_page_of_ones_own_watches_and_posts(site: tuple[System, str], visitors: Visitors) -> None:
    system, url = site
    stream = system.create_stream()
    system.post(stream, "hello", user="bob")
    page = visitors.page()
    page.add_init_script(SIGN_IN.replace(PRINTED, system.token("ann", name="Ann")))
    page.goto(f"{url}/watch.html#{stream}")
    expect(page.locator("#comments li").first).to_have_text("bob: hello")
    expect(page.locator("#state")).to_have_text("live")
    page.locator("#text").fill("hello, too")
    page.locator("#text").press("Enter")
    expect(page.locator("#comments li[data-state=posted]").last).to_have_text("Ann: hello, too")
    system.end_stream(stream)
    expect(page.locator("#composer")).to_be_hidden()


def test_a_page_of_ones_own_plays_a_recording(site: tuple[System, str], visitors: Visitors) -> None:
    system, url = site
    stream = system.create_stream()
    system.post(stream, "what a start", user="bob")
    system.stored(stream, lambda comments: comments)
    page = visitors.page()
    page.goto(f"{url}/replay.html#{stream}")
    page.evaluate("document.querySelector('#player').play()")
    expect(page.locator("#comments li").first).to_have_text("bob: what a start")
