"""A video beside the comments: it keeps the replay's clock, and each comment comes at its moment of it."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Visitors
from tests.browser.pages import texts, until, write
from tests.processes import eventually
from tests.system import System

CLIP = "/static/clip/clock.webm"
CLIP_MS = 90_000
EVERY_MS = 500
_NEAR_MS = 250
_APPEARED = """
  window.appeared = [];
  new MutationObserver(() => {
    const at = document.getElementById("video").currentTime * 1000;
    for (const row of document.querySelectorAll("#comments .comment-text")) {
      if (!appeared.some(([text]) => text === row.textContent)) appeared.push([row.textContent, at]);
    }
  }).observe(document.getElementById("comments"), { childList: true });
"""


@dataclass
class Recorded:
    """A recording whose comments are known to the millisecond: one each half second, about what was said two seconds
    before; their texts say when they are to be shown.
    """

    system: System
    duration_ms: int = CLIP_MS

    def answer_stream(self, route: Route) -> None:
        ended = f"2026-01-01T12:{self.duration_ms // 60_000:02}:{self.duration_ms // 1000 % 60:02}.000Z"
        stream = {
            "stream_id": "recorded",
            "title": "Recorded with a clock",
            "state": "ended",
            "visibility": "public",
            "host_id": "host",
            "started_at": "2026-01-01T12:00:00.000Z",
            "ended_at": ended,
            "slow_mode_s": 0,
            "viewers": 0,
        }
        route.fulfill(json=stream)

    def answer_comments(self, route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        start_ms = round(float(query["start_time"][0]) * 1000)
        end_ms = start_ms + round(float(query["duration"][0]) * 1000)
        comments = [
            {
                "comment_id": f"c{shown_ms:07}",
                "author_id": "ann",
                "author_name": "Ann",
                "text": str(shown_ms),
                "posted_at": "2026-01-01T12:00:00.000Z",
                "offset_ms": shown_ms + 2_000,
                "lag_ms": 2_000,
            }
            for shown_ms in range(EVERY_MS, self.duration_ms - 2_000, EVERY_MS)
            if start_ms <= shown_ms + 2_000 < end_ms
        ]
        route.fulfill(json={"comments": comments, "complete": True, "through_cursor": "e-1"})

    def open(self, page: Page, video: str = CLIP) -> None:
        page.route(re.compile(r"/v1/streams/recorded$"), self.answer_stream)
        page.route(re.compile(r"/v1/streams/recorded/comments\?"), self.answer_comments)
        page.goto(f"{self.system.url}/replay/recorded?video={video}")
        expect(page.get_by_role("button", name="Play", exact=True)).to_be_enabled()


@pytest.fixture
def page(system: System, visitors: Visitors) -> Page:
    """The recording beside the clip, loaded."""
    page = visitors.page()
    Recorded(system).open(page)
    expect(page.locator("#duration")).to_have_text("1:30")
    until(page, "video.readyState >= video.HAVE_METADATA")
    page.evaluate(_APPEARED)
    return page


def current_ms(page: Page) -> float:
    at: float = page.evaluate("video.currentTime * 1000")
    return at


def seek(page: Page, ms: int) -> None:
    page.get_by_label("Position").fill(str(ms))


def shown(page: Page, moment_ms: int) -> Locator:
    """The comment of this moment, wherever in the list it stands by now."""
    return texts(page).filter(has_text=re.compile(f"^{moment_ms}$"))


def appeared(page: Page) -> list[tuple[int, float]]:
    """When each comment is to be shown, and where the video was when it appeared, ms."""
    found: list[tuple[str, float]] = page.evaluate("appeared")
    return [(int(text), at) for text, at in found]


def assert_in_time(seen: list[tuple[int, float]]) -> None:
    """None comes early. One that comes late may have had to wait for this machine: most don't."""
    late = [at - shown for shown, at in seen]
    assert min(late) >= 0, seen
    assert sorted(late)[len(late) // 2] <= _NEAR_MS, seen


def test_a_comment_is_there_from_its_moment_of_the_video_on_wherever_one_jumps(page: Page) -> None:
    for moment in (7_000, 63_500, 3_000, 80_000):
        seek(page, moment - _NEAR_MS)
        expect(texts(page).last).to_have_text(str(moment - EVERY_MS))
        assert current_ms(page) == moment - _NEAR_MS
        seek(page, moment)
        expect(texts(page).last).to_have_text(str(moment))
        assert current_ms(page) == moment


@pytest.mark.parametrize("speed", [1, 2])
def test_comments_appear_when_the_video_is_there(page: Page, speed: int) -> None:
    page.get_by_label("Speed").select_option(str(speed))
    page.get_by_role("button", name="Sound off").click()
    seek(page, 60_100)
    expect(texts(page).last).to_have_text("60000")
    before = len(appeared(page))
    page.get_by_role("button", name="Play", exact=True).click()
    expect(shown(page, 60_000 + speed * 2_000)).to_be_visible()
    assert page.evaluate("video.playbackRate") == speed
    assert_in_time(appeared(page)[before:])
    page.get_by_role("button", name="Pause").click()
    assert page.evaluate("video.paused")
    expect(page.locator("#player-state")).to_have_text("Paused")
    # Where it stands now is where the comments stand, however long.
    at = current_ms(page)
    seek(page, 20_100)
    seek(page, round(at))
    expect(texts(page).last).to_have_text(str(int(at) // EVERY_MS * EVERY_MS))


def test_the_video_that_is_moved_by_other_means_takes_the_comments_along(page: Page) -> None:
    seek(page, 10_000)
    expect(texts(page).last).to_have_text("10000")
    page.evaluate("video.currentTime = 70.25")
    expect(texts(page).last).to_have_text("70000")
    expect(page.locator("#position")).to_have_text("1:10")


def test_where_the_video_is_shorter_the_recording_goes_on_without_it(system: System, visitors: Visitors) -> None:
    page = visitors.page()
    Recorded(system, duration_ms=300_000).open(page)
    expect(page.locator("#duration")).to_have_text("5:00")
    until(page, "video.readyState >= video.HAVE_METADATA")
    seek(page, CLIP_MS - 500)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(shown(page, CLIP_MS + 500)).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    seek(page, 250_000)
    expect(shown(page, 250_000)).to_be_visible()
    seek(page, 30_000)
    expect(shown(page, 30_000)).to_be_visible()
    until(page, "video.currentTime > 30 && !video.paused")


def test_a_video_that_can_not_be_played_is_said_and_the_comments_go_on(system: System, visitors: Visitors) -> None:
    page = visitors.page()
    Recorded(system).open(page, video="/static/nowhere.webm")
    expect(page.get_by_text("The video can’t be played.")).to_be_visible()
    page.get_by_role("button", name="Play", exact=True).click()
    expect(shown(page, 1_000)).to_be_visible()


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:video/webm;base64,AAAA", "blob:http://localhost/1", "file:///etc/passwd", "http://"],
)
def test_only_addresses_over_http_are_taken_for_a_video(system: System, visitors: Visitors, address: str) -> None:
    page = visitors.page()
    Recorded(system).open(page, video=address)
    expect(page.get_by_role("status").filter(has_text="A video’s address begins with https://")).to_be_visible()
    expect(page.locator("#video")).to_be_hidden()
    assert page.evaluate("video.currentSrc") == ""


def test_all_who_watch_live_see_the_same_picture_and_the_replay_has_the_same_video(
    system: System, visitors: Visitors
) -> None:
    stream_id = system.create_stream(title="Live with a clock")
    pages = [visitors.page(), visitors.page()]
    for page in pages:
        page.goto(f"{system.url}/watch/{stream_id}?video={CLIP}")
        expect(page.locator("#connection")).to_have_text("Live")
        until(page, "video.currentTime > 0 && !video.paused && video.muted")
    started = pages[0].evaluate(
        "id => fetch(`/v1/streams/${id}`).then(r => r.json()).then(s => s.started_at)", stream_id
    )
    behind = "started => (Date.now() - Date.parse(started)) / 1000 - video.currentTime"
    for page in pages:
        # Behind by what it took to begin; never ahead.
        assert -_NEAR_MS / 1000 <= page.evaluate(behind, started) < 10
    system.end_stream(stream_id)
    pages[0].get_by_role("link", name="Watch the replay").click()
    expect(pages[0]).to_have_url(re.compile(rf"/replay/{stream_id}\?video="))
    expect(pages[0].locator("#video")).to_be_visible()


def test_what_is_said_while_the_video_is_behind_says_by_how_much(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    page = visitors.page()
    page.goto(f"{system.url}/watch/{stream_id}?video={CLIP}#token={system.token('ann')}")
    until(page, "video.currentTime > 0 && !video.paused")
    page.evaluate("video.pause(); video.currentTime = (video.currentTime + video.duration - 10) % video.duration")
    write(page, "I am late")
    (comment,) = system.stored(stream_id, lambda stored: len(stored) == 1)
    # Ten seconds, and what it took to write; a little less where the video had begun a little ahead.
    assert 9_000 <= comment["lag_ms"] < 40_000


def test_the_edge_serves_parts_of_a_file(system: System) -> None:
    whole = system.request("GET", CLIP)
    assert whole.headers["content-type"] == "video/webm"
    assert whole.headers["accept-ranges"] == "bytes"
    size = len(whole.content)
    assert size < 300_000
    for asked, first, last in (
        ("bytes=0-99", 0, 99),
        (f"bytes={size - 10}-", size - 10, size - 1),
        ("bytes=-7", size - 7, size - 1),
        (f"bytes=100-{size + 50}", 100, size - 1),
    ):
        part = system.request("GET", CLIP, headers={"Range": asked})
        assert part.status_code == 206, asked
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
        assert part.content == whole.content[first : last + 1]
    assert system.request("GET", CLIP, headers={"Range": f"bytes={size}-"}).status_code == 416
    changed = system.request("GET", CLIP, headers={"Range": "bytes=0-99", "If-Range": '"another"'})
    assert (changed.status_code, len(changed.content)) == (200, size)


def test_only_pages_with_a_video_may_load_one(system: System) -> None:
    for path, allowed in (("/watch/x", True), ("/replay/x", True), ("/", False)):
        policy = system.request("GET", path).headers["content-security-policy"]
        assert ("media-src http: https:" in policy) is allowed
        assert "script-src 'self';" in policy


def test_the_clip_is_what_the_script_makes(page: Page) -> None:
    """Its pictures say where they are: the hand and the bar that stand for this moment are there."""
    seek(page, 30_000)
    until(page, "!video.seeking && video.readyState >= video.HAVE_CURRENT_DATA")
    bar = """([x]) => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      const brush = canvas.getContext("2d");
      brush.drawImage(video, 0, 0);
      const [r, g] = brush.getImageData(x, Math.round(canvas.height * 0.875), 1, 1).data;
      return g > 160 && r < 150;
    }"""
    begin, length = 360 * 0.2, 640 - 360 * 0.4
    eventually(lambda: page.evaluate(bar, [round(begin + (1 / 3 - 0.01) * length)]), "the bar has come so far")
    assert not page.evaluate(bar, [round(begin + (1 / 3 + 0.01) * length)])
