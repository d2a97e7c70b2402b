"""Pages in the system's Chromium. A test fails when a page throws, or breaks its content security policy."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from scripts import chromium
from tests.processes import REPOSITORY
from tests.system import System

SCREENSHOTS = REPOSITORY / "artifacts" / "screenshots"
DESKTOP = (1280, 800)
PHONE = (390, 844)

expect.set_options(timeout=60_000)


def program(names: tuple[str, ...], what: str) -> str:
    """The first of these that is installed; without one the test is skipped, in CI it fails."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        words = f"{what} is not installed (looked for {', '.join(names)})"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module: Playwright's event loop counts as running in this thread for as long as it is open, and no
    other module's asyncio tests could run meanwhile.
    """
    program(chromium.NAMES, "Chromium")
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        yield browser
        browser.close()


class Visitors:
    """People with a browser each: opens pages, and knows what went wrong in them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts = ExitStack()
        self.faults: list[str] = []

    def page(
        self, size: tuple[int, int] = DESKTOP, *, scheme: str = "light", touch: bool = False, locale: str = "en-GB"
    ) -> Page:
        """A page in a context of its own: another person, signed out."""
        context: BrowserContext = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
            has_touch=touch,
            is_mobile=touch,
            locale=locale,
        )
        self._contexts.callback(context.close)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("console", self._heard)
        return page

    def watch(self, system: System, stream_id: str, user: str = "", *, page: Page | None = None, **claims: str) -> Page:
        """A page that watches a stream and is live; signed in when a user is named."""
        page = page or self.page()
        fragment = f"#token={system.token(user, **claims)}" if user else ""
        page.goto(f"{system.url}/watch/{stream_id}{fragment}")
        expect(page.locator("#connection")).to_have_text("Live")
        return page

    def close(self) -> None:
        self._contexts.close()

    def _heard(self, message: ConsoleMessage) -> None:
        # A failed request is reported here, too, and some tests want one; a script that fails never is.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(f"console: {message.text}")


@pytest.fixture
def visitors(browser: Browser) -> Iterator[Visitors]:
    visitors = Visitors(browser)
    try:
        yield visitors
    finally:
        visitors.close()
    assert not visitors.faults


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where the pages' pictures are kept; CI keeps them as artefacts."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
