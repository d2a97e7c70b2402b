"""Pages that use the JavaScript client as it is published, served by the edge that they watch."""

import io
import wave
from base64 import b64encode
from typing import Any

from playwright.sync_api import Page

from tests.browser.conftest import Visitors

_PAGE = "<!doctype html><meta charset=utf-8><title>A page with comments</title>"
_CONNECT = """async ([stream, options]) => {
  const { connect } = await import("/static/client/index.js");
  const live = connect({ stream, ...options });
  const seen = { texts: [], states: [], gaps: 0 };
  live.on("snapshot", ({ comments, recovered }) => {
    if (!recovered) seen.texts.push(...comments.map(({ text }) => text));
  });
  live.on("new_comment", (comments) => seen.texts.push(...comments.map(({ text }) => text)));
  live.on("state", ({ state }) => seen.states.push(state));
  live.on("gap", () => (seen.gaps += 1));
  Object.assign(window, { live, seen });
}"""


def open_page(visitors: Visitors, url: str, html: str = _PAGE, page: Page | None = None) -> Page:
    """A page of someone else's at the edge's own address, without a content security policy.

    What the edge serves there is another one: of a page that Playwright makes up Chromium would not know whether it may
    use the loopback.
    """
    page = page or visitors.page()
    page.goto(f"{url}/livez")
    page.set_content(html)
    return page


def connected(visitors: Visitors, url: str, stream_id: str, **options: Any) -> Page:
    """A page whose ``live`` is connected to a stream; ``seen`` holds what it was told."""
    page = open_page(visitors, url)
    page.evaluate(_CONNECT, [stream_id, options])
    wait_for(page, "live.state === 'live'")
    return page


def silence(seconds: int) -> str:
    """What a media element plays for so long, as an address."""
    content = io.BytesIO()
    with wave.open(content, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(1)
        recording.setframerate(8_000)
        recording.writeframes(b"\x80" * 8_000 * seconds)
    return "data:audio/wav;base64," + b64encode(content.getvalue()).decode()


def wait_for(page: Page, condition: str, argument: object = None) -> None:
    """Waits until an expression, or a function of the argument, is true in the page."""
    page.wait_for_function(condition, arg=argument, timeout=60_000)


def wait_for_texts(page: Page, texts: list[str]) -> None:
    """Waits until the last of these has come, and fails unless all have, once and in this order, and nothing else."""
    wait_for(page, "(last) => window.seen.texts.includes(last)", texts[-1])
    assert page.evaluate("window.seen.texts") == texts
    assert page.evaluate("live.comments.map(({ comment, state }) => [comment.text, state])") == [
        [text, "posted"] for text in texts
    ]


def forgive_lost_sockets(visitors: Visitors) -> None:
    """The browser itself complains of each WebSocket that can't be opened, whoever handles it."""
    visitors.faults = [fault for fault in visitors.faults if "WebSocket connection to" not in fault]
