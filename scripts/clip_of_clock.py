"""Makes the demo stream's video: a clock that runs, so that everyone can see whether comments come at their moments.

    scripts/clip [FILE]

Chromium draws and encodes it (clip_of_clock.js), webm.py makes a file of that. The same Chromium makes the same bytes.
"""

import base64
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from scripts import chromium
from scripts.webm import Picture, Track, webm

FILE = Path(__file__).parent.parent / "edge" / "static" / "clip" / "clock.webm"
WIDTH, HEIGHT = 640, 360
SECONDS = 90
PER_SECOND = 10
_ENCODING = {
    "width": WIDTH,
    "height": HEIGHT,
    "seconds": SECONDS,
    "perSecond": PER_SECOND,
    "keyEveryS": 4,
    "bitrate": 8_000,
}


def clip() -> bytes:
    """The file."""
    script = Path(__file__).with_suffix(".js").read_text()
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        page = browser.new_page()
        # WebCodecs is for secure contexts, and about:blank is none.
        page.route("https://clip.invalid/", lambda route: route.fulfill(body="", content_type="text/html"))
        page.goto("https://clip.invalid/")
        drawn: list[dict[str, Any]] = page.evaluate(script, _ENCODING)
        browser.close()
    pictures = [Picture(each["at_ms"], each["is_key"], base64.b64decode(each["data"])) for each in drawn]
    assert len(pictures) == SECONDS * PER_SECOND, f"{len(pictures)} pictures were encoded"
    return webm(Track("V_VP9", WIDTH, HEIGHT, 1000 // PER_SECOND), pictures)


def main() -> None:
    """The command."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    made = clip()
    file.write_bytes(made)
    print(f"{file}: {len(made):,} bytes")


if __name__ == "__main__":
    main()
