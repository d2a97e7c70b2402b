"""The replay page: comments at their moments, read ahead in windows."""

import re
import time
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visitors
from tests.browser.pages import texts
from tests.processes import eventually
from tests.system import System


@dataclass(frozen=True)
class Recording:
    """An ended stream: "start" near its beginning, "late" after two seconds; "early" posted then, too, by someone who
    was so far behind that it is about 0.5 s.
    """

    stream_id: str
    late_ms: int
    early_ms: int


@pytest.fixture(scope="module")
def recording(system: System) -> Recording:
    stream_id = system.create_stream(title="Recorded")
    system.post(stream_id, "start")
    due = time.monotonic() + 2
    eventually(lambda: time.monotonic() > due, "two seconds have passed")
    late = system.post(stream_id, "late")
    early = system.post(stream_id, "early", lag_ms=late["offset_ms"] - 500)
    system.end_stream(stream_id)
    system.stored(stream_id, lambda comments: len(comments) == 3)
    return Recording(stream_id, late["offset_ms"], early["offset_ms"] - (late["offset_ms"] - 500))


@pytest.fixture
def page(system: System, visitors: Visitors, recording: Recording) -> Page:
    """The recording, loaded, on a clock that the test moves."""
    page = visitors.page()
    page.clock.install()
    page.goto(f"{system.url}/replay/{recording.stream_id}")
    expect(page.get_by_role("button", name="Play")).to_be_enabled()
    # From here on it stands, until the test moves it.
    page.clock.pause_at(page.evaluate("Date.now()") + 60_000)
    return page


def run(page: Page, ms: int) -> None:
    """Lets the page's time pass, in its own steps: what it asked for is answered in between."""
    for _ in range(ms // 100):
        page.clock.run_for(100)
    page.clock.run_for(ms % 100 + 20)


def loaded(page: Page) -> None:
    """Plays from the beginning until the first window is there."""
    page.get_by_role("button", name="Play").click()
    eventually(lambda: page.clock.run_for(10) or page.locator("#player-state").text_content() == "Playing", "it plays")


def test_comments_appear_at_the_moments_that_they_were_about(page: Page, recording: Recording) -> None:
    expect(page.get_by_text("Press play to begin.")).to_be_visible()
    expect(texts(page)).to_have_count(0)
    loaded(page)
    run(page, 300)
    expect(texts(page)).to_have_text(["start"])
    run(page, recording.early_ms - 200)
    expect(texts(page)).to_have_text(["start", "early"])
    run(page, recording.late_ms - recording.early_ms)
    expect(texts(page)).to_have_text(["start", "early", "late"])
    run(page, 1_000)
    expect(page.locator("#player-state")).to_have_text("Paused")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_seeking_shows_that_place_and_pausing_holds_it(page: Page, recording: Recording) -> None:
    bar = page.get_by_label("Position")
    bar.fill(str(recording.late_ms - 300))
    run(page, 200)
    expect(texts(page)).to_have_text(["start", "early"])
    run(page, 3_000)
    expect(texts(page)).to_have_text(["start", "early"])
    bar.fill("0")
    run(page, 100)
    expect(texts(page)).to_have_count(0)
    page.get_by_role("button", name="Forward 10 seconds").click()
    run(page, 100)
    expect(texts(page)).to_have_text(["start", "early", "late"])


def test_the_keyboard_plays_seeks_and_sets_the_speed(page: Page) -> None:
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.keyboard.press("ArrowRight")
    run(page, 200)
    expect(page.locator("#position")).to_have_text("0:02")
    expect(texts(page)).to_have_text(["start", "early", "late"])
    page.keyboard.press("ArrowLeft")
    run(page, 200)
    expect(page.locator("#position")).to_have_text("0:00")
    expect(texts(page)).to_have_count(0)
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    run(page, 200)
    expect(page.get_by_label("Speed")).to_have_value("2")
    expect(page.get_by_text("Space play or pause")).to_be_visible()


def test_speed_brings_the_moments_closer(page: Page) -> None:
    page.get_by_label("Speed").select_option("16")
    loaded(page)
    run(page, 200)
    expect(texts(page)).to_have_text(["start", "early", "late"])


def test_a_window_that_can_not_be_read_is_read_again(system: System, visitors: Visitors, recording: Recording) -> None:
    page = visitors.page()
    asked: list[str] = []

    def fail_once(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=503, json={"reason": "OVERLOADED", "detail": "no storage answers", "status": 503})
        else:
            route.continue_()

    page.route(re.compile(r"/comments\?"), fail_once)
    page.goto(f"{system.url}/replay/{recording.stream_id}")
    expect(page.get_by_text("trying again. no storage answers")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_enabled()
    page.keyboard.press("ArrowRight")
    expect(texts(page)).to_have_text(["start", "early", "late"])
    assert asked[1] == asked[0]


def test_long_windows_are_read_page_by_page(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    for number in range(25):
        system.post(stream_id, f"comment {number}")
    system.end_stream(stream_id)
    system.stored(stream_id, lambda comments: len(comments) == 25)
    page = visitors.page()
    page.route(
        re.compile(r"/comments\?"),
        lambda route: route.continue_(url=route.request.url.replace("limit=500", "limit=10")),
    )
    page.goto(f"{system.url}/replay/{stream_id}")
    expect(page.get_by_role("button", name="Play")).to_be_enabled()
    page.keyboard.press("ArrowRight")
    expect(texts(page)).to_have_text([f"comment {number}" for number in range(25)])


def test_a_live_stream_is_replayed_while_it_goes_on(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    first = system.post(stream_id, "first")
    page = visitors.page()
    page.goto(f"{system.url}/replay/{stream_id}")
    expect(page.get_by_role("link", name="Still live: watch")).to_be_visible()
    page.get_by_role("button", name="Play").click()
    # The last seconds of a live stream may not be stored yet, so it takes a moment.
    expect(texts(page)).to_have_text(["first"])
    assert first["offset_ms"] < 2_000
    system.post(stream_id, "second")
    expect(texts(page)).to_have_text(["first", "second"])


def test_an_unknown_recording_is_refused_in_words(system: System, visitors: Visitors) -> None:
    page = visitors.page()
    page.goto(f"{system.url}/replay/nowhere")
    expect(page.get_by_text("there is no such stream")).to_be_visible()


def test_a_seek_cancels_what_is_being_read(system: System, visitors: Visitors, recording: Recording) -> None:
    page = visitors.page()
    cancelled: list[str] = []
    page.on("requestfailed", lambda request: cancelled.append(request.url))
    answers = {
        "stream_id": recording.stream_id,
        "title": "Two hours",
        "state": "ended",
        "visibility": "public",
        "host_id": "host",
        "started_at": "2026-01-01T12:00:00.000Z",
        "ended_at": "2026-01-01T14:00:00.000Z",
        "slow_mode_s": 0,
        "viewers": 0,
    }
    page.route(re.compile(rf"/v1/streams/{recording.stream_id}$"), lambda route: route.fulfill(json=answers))
    # Never answered.
    page.route(re.compile(r"/comments\?"), lambda _: None)
    with page.expect_request(re.compile(r"start_time=0&")):
        page.goto(f"{system.url}/replay/{recording.stream_id}")
    with page.expect_request(re.compile(r"start_time=3540&")):
        page.get_by_label("Position").fill(str(3_600_000))
    eventually(lambda: page.evaluate("1") and cancelled, "the first read is cancelled")
    assert "start_time=0&" in cancelled[0]
