"""What axe-core finds on the pages, in each of their states and both themes: nothing."""

import json
import os
import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PHONE, Visitors
from tests.browser.pages import comments, open_menu, texts, write
from tests.processes import REPOSITORY
from tests.system import System

_FOLDER = REPOSITORY / "tests" / "browser" / "axe"
_FINDINGS = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  const where = (nodes) => nodes.map((node) => node.html.slice(0, 200));
  return violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, where: where(nodes) }));
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core's script; without it the test is skipped, in CI it fails."""
    script = _FOLDER / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        words = f"axe-core is not installed: run npm ci in {_FOLDER.relative_to(REPOSITORY)}"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    return script.read_text()


class Inspector:
    """Looks at a page in both themes."""

    def __init__(self, axe: str) -> None:
        self._axe = axe

    def look(self, page: Page, state: str) -> None:
        """Fails with what was found, if anything."""
        if page.evaluate("typeof axe") == "undefined":
            page.evaluate(self._axe)
        found: dict[str, list[dict[str, Any]]] = {}
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
            if violations := page.evaluate(_FINDINGS):
                found[scheme] = violations
        assert not found, f"{state}: {json.dumps(found, indent=2)}"


@pytest.fixture
def inspector(axe: str) -> Inspector:
    return Inspector(axe)


@pytest.fixture(scope="module")
def stream(system: System) -> str:
    """A live one with a hundred comments, a pinned one among them."""
    stream_id = system.create_stream(title="Looked at closely")
    for number in range(99):
        system.post(stream_id, f"comment {number} " + "مرحبا 👋 " * (number % 5), user=f"user-{number % 7}")
    comment_id = system.post(stream_id, "pin me", user="host")["comment_id"]
    path = f"/v1/streams/{stream_id}/pinned"
    token = system.token("host", role="host")
    assert system.request("PUT", path, {"comment_id": comment_id}, token=token).status_code == 200
    return stream_id


def test_the_first_page(system: System, visitors: Visitors, inspector: Inspector, stream: str) -> None:
    page = visitors.page()
    page.goto(system.url)
    expect(page.locator(f"a[href='/watch/{stream}']").first).to_be_visible()
    inspector.look(page, "streams")
    page.get_by_role("banner").get_by_role("button", name="Sign in").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    inspector.look(page, "signing in, without a token")
    page.goto("about:blank")
    page.goto(f"{system.url}/#token={system.token('host', role='host', name='Grace')}")
    page.get_by_role("button", name="New stream").click()
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#title-error")).not_to_be_empty()
    inspector.look(page, "a new stream, without a title")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Signed in as Grace").click()
    inspector.look(page, "who one is")
    page.route("**/v1/streams?*", lambda route: route.fulfill(status=503, json={"reason": "OVERLOADED"}))
    page.reload()
    expect(page.locator("#problem")).to_be_visible()
    inspector.look(page, "no answer")


@pytest.mark.parametrize("size", [(1440, 900), PHONE], ids=str)
def test_watching(system: System, visitors: Visitors, inspector: Inspector, stream: str, size: tuple[int, int]) -> None:
    page = visitors.page(size)
    visitors.watch(system, stream, page=page)
    expect(comments(page).last).to_be_in_viewport()
    inspector.look(page, "a guest")
    page.locator("#scroller").evaluate("box => box.scrollBy(0, -900)")
    expect(page.get_by_role("button", name="Back to newest")).to_be_visible()
    inspector.look(page, "scrolled up")
    page.goto("about:blank")
    visitors.watch(system, stream, "user-3", page=page)
    page.get_by_label("Your comment").fill("x" * 501)
    inspector.look(page, "a viewer, with too long a text")
    page.route("**/comments", lambda route: route.fulfill(status=403, json={"reason": "BANNED", "status": 403}))
    write(page, "not for you")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    inspector.look(page, "a viewer whose comment failed")
    page.unroute("**/comments")
    page.goto("about:blank")
    visitors.watch(system, stream, "host", role="host", page=page)
    open_menu(page, "pin me")
    inspector.look(page, "the host, in the menu")
    page.keyboard.press("Escape")
    if page.get_by_role("button", name="About").is_visible():
        page.get_by_role("button", name="About").click()
    inspector.look(page, "the host's tools")
    page.get_by_role("button", name="End stream…").click()
    inspector.look(page, "asked whether to end it")


def test_watching_when_things_go_wrong(system: System, visitors: Visitors, inspector: Inspector, stream: str) -> None:
    page = visitors.page()
    page.goto(f"{system.url}/watch/nowhere")
    expect(page.locator("#refused")).to_be_visible()
    inspector.look(page, "refused")
    visitors.watch(system, stream, page=page)
    context: BrowserContext = page.context
    context.set_offline(True)
    expect(page.locator("#connection")).to_have_text("Offline")
    inspector.look(page, "offline")
    context.set_offline(False)
    expect(page.locator("#connection")).to_have_text("Live")
    page.goto(f"{system.url}/watch/{stream}?video=/static/nowhere.webm")
    expect(page.get_by_text("The video can’t be played.")).to_be_visible()
    inspector.look(page, "a video that is not there")
    page.goto(f"{system.url}/watch/{stream}?video=javascript:0")
    expect(page.get_by_text("A video’s address begins with")).to_be_visible()
    inspector.look(page, "a short message")


def test_a_stream_without_a_comment_and_its_end(system: System, visitors: Visitors, inspector: Inspector) -> None:
    stream_id = system.create_stream(title="Short")
    page = visitors.watch(system, stream_id, "ann")
    inspector.look(page, "empty")
    system.end_stream(stream_id)
    expect(page.locator("#connection")).to_have_text("Ended")
    inspector.look(page, "ended")


@pytest.mark.parametrize("video", ["", "?video=/static/clip/clock.webm"])
def test_replaying(system: System, visitors: Visitors, inspector: Inspector, stream: str, video: str) -> None:
    page = visitors.page()
    page.goto(f"{system.url}/replay/{stream}{video}")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_enabled()
    inspector.look(page, "before it plays")
    page.keyboard.press("ArrowRight")
    expect(texts(page).first).to_be_visible()
    inspector.look(page, "with comments")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    inspector.look(page, "playing")
    page.goto(f"{system.url}/replay/nowhere{video}")
    expect(page.locator("#refused")).to_be_visible()
    inspector.look(page, "refused")


@pytest.mark.parametrize("path", ["/docs", "/docs/errors"])
def test_the_pages_about_the_api(system: System, visitors: Visitors, inspector: Inspector, path: str) -> None:
    page = visitors.page()
    page.goto(f"{system.url}{path}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    inspector.look(page, path)


def test_what_is_looked_for_is_found(system: System, visitors: Visitors, inspector: Inspector) -> None:
    page = visitors.page()
    page.goto(system.url)
    page.evaluate("document.body.append(document.createElement('button'))")
    with pytest.raises(AssertionError, match=re.compile("button-name")):
        inspector.look(page, "a button without a name")
