"""How smoothly the watch page draws: frame times in headless Chromium, with thousands of comments in memory.

    scripts/bench/frames --rate 100 --memory 10000 --seconds 10

Four cases: nothing comes, to know what this machine and browser can do; comments come and the page follows them; they
come while one scrolls through all that is there; and nothing comes while one scrolls. Each is watched twice: for the
time between frames, and under Chromium's tracing for what the page's own thread does in each of them (CPU time of
script, style, layout and paint), which is what the page can do something about. The browser has the first core for
itself (no GPU: it paints on it, too), everything else shares the last one.
"""

import os
import statistics
import threading
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import rounds
from ours import STREAM, Ours
from own_work import frames_of, traced
from percentiles import percentile
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from scripts import chromium

_SCRIPT = Path(__file__).with_suffix(".js").read_text()
_FILL_RATE = 2_000
_TEXT_SIZE = 60
_SCROLL_PX = 40
_LATE_MS = 25
"""A frame that took longer than this has missed one of the screen's, at 60 Hz."""
_BUSY_MS = 8
"""A page that works so long in a frame leaves less than half of it to everyone else."""


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    first, last = machine.cores()
    with Ours() as server, sync_playwright() as playwright:
        for pid in server.pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {last})
        # What this process starts runs where it runs itself.
        os.sched_setaffinity(0, {first})
        browser = chromium.launch(playwright)
        os.sched_setaffinity(0, {last})
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"http://127.0.0.1:{server.port}/watch/{STREAM}")
        page.locator("#connection[data-state=live]").wait_for()
        server_thread(server, _FILL_RATE, options.memory / _FILL_RATE).join()
        page.locator(f"#comments > li[aria-setsize='{options.memory:.0f}']").first.wait_for()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        for case in (
            Case("nothing comes", 0, 0),
            Case(f"{options.rate:.0f}/s, following", options.rate, 0),
            Case("nothing comes, scrolling", 0, _SCROLL_PX),
            Case(f"{options.rate:.0f}/s, scrolling", options.rate, _SCROLL_PX),
        ):
            times = _times(page, session, server, options.seconds, case)
            yield case.name, times | _own_work(browser, page, server, options.seconds, case)
        browser.close()


def server_thread(server: Ours, rate: float, seconds: float) -> threading.Thread:
    """Publishes beside Playwright, which keeps this thread's event loop to itself."""
    thread = threading.Thread(target=server.publish, args=(rate, seconds, _TEXT_SIZE))
    thread.start()
    return thread


@dataclass(frozen=True)
class Case:
    """What goes on while frames are counted."""

    name: str
    rate: float
    """Comments/s."""
    scroll_px: int
    """In each frame."""


def _times(page: Page, session: CDPSession, server: Ours, seconds: float, case: Case) -> dict[str, float]:
    before = _spent(session)
    seen = _watch(page, server, seconds, case)
    after = _spent(session)
    frames: list[float] = seen["frames"]
    return {
        "p50 ms": percentile(frames, 0.5),
        "p99 ms": percentile(frames, 0.99),
        "max ms": max(frames),
        "late": sum(frame > _LATE_MS for frame in frames) / len(frames),
        "long tasks": len(seen["long"]),
        "busy": (after["TaskDuration"] - before["TaskDuration"]) / seconds,
        "rows": seen["rows"],
        "in memory": seen["inMemory"],
    }


def _own_work(browser: Browser, page: Page, server: Ours, seconds: float, case: Case) -> dict[str, float]:
    with traced(browser) as events:
        _watch(page, server, seconds, case)
    frames = frames_of(events)
    return {
        "own p50 ms": statistics.median(frames),
        "own p99 ms": percentile(frames, 0.99),
        "own max ms": max(frames),
        f"own > {_BUSY_MS} ms": sum(frame > _BUSY_MS for frame in frames) / len(frames),
    }


def _watch(page: Page, server: Ours, seconds: float, case: Case) -> dict[str, Any]:
    """What the script in the page has seen."""
    feeding = server_thread(server, case.rate, seconds) if case.rate else None
    seen: dict[str, Any] = page.evaluate(_SCRIPT, {"seconds": seconds, "scroll": case.scroll_px})
    if feeding is not None:
        feeding.join()
    if case.scroll_px:
        page.locator("#to-newest").click()
    return seen


def _spent(session: CDPSession) -> dict[str, float]:
    """What the page's thread has spent so far, s, by what on."""
    found: list[dict[str, Any]] = session.send("Performance.getMetrics")["metrics"]
    return {each["name"]: each["value"] for each in found}


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, seconds=10.0, rate=100.0, memory=10_000.0).parse_args()
    rounds.run(options.rounds, "Frames of the watch page", lambda: measure(options))


if __name__ == "__main__":
    main()
