"""What a page does itself in each frame, from Chromium's trace: script, style, layout, paint; not the rasteriser."""

import base64
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

from playwright.sync_api import Browser

Event = Mapping[str, Any]
"""Of the trace event format; times in µs."""

_CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline"]
_FRAME = "FireAnimationFrame"
_TASK = "RunTask"


@contextmanager
def traced(browser: Browser) -> Iterator[list[Event]]:
    """Traces the whole browser; the list is filled at the end."""
    session = browser.new_browser_cdp_session()
    events: list[Event] = []
    ended: list[Mapping[str, Any]] = []

    def end(told: Mapping[str, Any]) -> None:
        ended.append(told)

    session.on("Tracing.tracingComplete", end)
    config = {"includedCategories": _CATEGORIES, "excludedCategories": ["*"]}
    session.send("Tracing.start", {"transferMode": "ReturnAsStream", "traceConfig": config})
    yield events
    session.send("Tracing.end")
    while not ended:
        # Anything that is asked lets what the browser says be heard.
        session.send("Target.getTargets")
    events += json.loads(_read(session.send, ended[0]["stream"]))["traceEvents"]
    session.detach()


def _read(send: Any, handle: str) -> bytes:
    parts = []
    while True:
        part = send("IO.read", {"handle": handle})
        data: str = part["data"]
        parts.append(base64.b64decode(data) if part.get("base64Encoded") else data.encode())
        if part["eof"]:
            send("IO.close", {"handle": handle})
            return b"".join(parts)


def frames_of(events: Iterable[Event]) -> list[float]:
    """CPU time, ms, of the tasks on the page's main thread from one animation frame to the next, for each frame but the
    last.

    The page is the one with the most animation frames. What runs between two frames belongs to the first of them.
    """
    whole = [event for event in events if event.get("ph") == "X"]
    threads = Counter((event["pid"], event["tid"]) for event in whole if event["name"] == _FRAME)
    if not threads:
        return []
    ((page, _),) = threads.most_common(1)
    ours = [event for event in whole if (event["pid"], event["tid"]) == page]
    callbacks = sorted(event["ts"] for event in ours if event["name"] == _FRAME)
    spent: list[float] = []
    for task in sorted((event for event in ours if event["name"] == _TASK), key=itemgetter("ts")):
        # One task runs all callbacks of a frame.
        first = bisect_left(callbacks, task["ts"])
        if first < len(callbacks) and callbacks[first] < task["ts"] + task["dur"]:
            spent.append(0.0)
        if spent:
            spent[-1] += task["tdur"] / 1000
    return spent[:-1]
