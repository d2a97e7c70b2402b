"""Takes the README's pictures of the pages: dark and light."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from scripts import chromium
from tests.system import System

SCHEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
FOLDER = Path(__file__).parent.parent / "docs" / "screenshots"
COMMENTS = (
    ("ada", "Ada", "Here we go 🎉"),
    ("kim", "Kim", "Sound is great tonight"),
    ("maria", "María José", "Saludos desde Sevilla"),
    ("zed", "Zed", "Who else is watching from work?"),
    ("omar", "Omar", "تحية للجميع"),
    ("bo", "Bo", "That pass!"),
    ("ada", "Ada", "Replay please, I blinked"),
    ("kim", "Kim", "Same 😂"),
    ("host", "Grace", "Half-time in five minutes. Questions for the studio: post them now."),
    ("zed", "Zed", "Why did they change the line-up?"),
    ("maria", "María José", "GOAL! I cannot believe he made that from there!"),
    ("bo", "Bo", "What a goal"),
)


VIDEO = "/static/clip/clock.webm"
DESKTOP = ViewportSize(width=1280, height=720)
PHONE = ViewportSize(width=390, height=844)


class Photographer:
    """Takes each picture in both themes."""

    def __init__(self, browser: Browser, system: System) -> None:
        self._browser = browser
        self._system = system

    def take(self, name: str, path: str, size: ViewportSize, prepare: Callable[[Page], None]) -> None:
        """``prepare`` brings the page to what is to be seen."""
        for scheme in SCHEMES:
            context = self._browser.new_context(
                viewport=size, color_scheme=scheme, device_scale_factor=1 if size is DESKTOP else 1.5
            )
            page = context.new_page()
            page.goto(self._system.url + path)
            prepare(page)
            page.screenshot(path=FOLDER / f"{name}-{scheme}.png")
            context.close()


def all_said(page: Page) -> None:
    """The comments are shown, and the video, where there is one."""
    page.get_by_text(COMMENTS[-1][2]).last.wait_for()
    page.wait_for_function("video.hidden || !video.src || (!video.seeking && video.readyState >= 2)")
    page.mouse.move(0, 0)


def at_its_end(page: Page) -> None:
    """Of what there is of a recording."""
    page.locator("#play:enabled").wait_for()
    page.keyboard.press("ArrowRight")
    all_said(page)


def with_menu(page: Page) -> None:
    """A comment's menu is open."""
    all_said(page)
    row = page.locator("#comments > li").filter(has_text="Why did they")
    row.hover()
    row.get_by_role("button").click()


def photograph(system: System, browser: Browser) -> None:
    """Makes a stream with comments, and takes the pictures."""
    host = system.token("host", role="host", name="Grace")
    stream = system.create_stream("final", title="The final, live")
    for user, name, text in COMMENTS:
        role = "host" if user == "host" else "viewer"
        answer = system.try_post(stream, text, token=system.token(user, name=name, role=role))
        assert answer.status_code == 202, answer.text
        if user == "host":
            pin = {"comment_id": answer.json()["comment_id"]}
            assert system.request("PUT", f"/v1/streams/{stream}/pinned", pin, token=host).status_code == 200
    system.stored(stream, lambda stored: len(stored) == len(COMMENTS))
    ada = system.token("ada", name="Ada")
    photographer = Photographer(browser, system)
    photographer.take("watch", f"/watch/{stream}?video={VIDEO}#token={ada}", DESKTOP, all_said)
    photographer.take("replay", f"/replay/{stream}?video={VIDEO}", DESKTOP, at_its_end)
    photographer.take("host", f"/watch/{stream}#token={host}", DESKTOP, with_menu)
    photographer.take("phone", f"/watch/{stream}?video={VIDEO}#token={ada}", PHONE, all_said)


def main() -> None:
    """The command."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        System(Path(folder), core_user_rate="0") as system,
        sync_playwright() as playwright,
    ):
        browser = chromium.launch(playwright)
        photograph(system, browser)
        browser.close()


if __name__ == "__main__":
    main()
