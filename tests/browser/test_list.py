"""The list of comments: ten thousand of them in memory, some screenfuls in the document."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import PHONE, Visitors
from tests.browser.pages import comments, distance_to_end, expect_in_memory, texts, walk
from tests.processes import eventually
from tests.system import System

COUNT = 10_000
_NEVER = 3_600_000


def text(number: int) -> str:
    """Of one line, or of several: rows are not of one height."""
    return f"comment {number}" + " and some more words" * (number * 7919 % 23)


def posted(numbers: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {
            "comment_id": f"c{number:06}",
            "author_id": f"user-{number % 97}",
            "author_name": f"User {number % 97}",
            "text": text(number),
            "posted_at": "2026-01-01T12:00:00.000Z",
            "offset_ms": number,
        }
        for number in numbers
    ]


class FullFeed:
    """In place of the edge's feed, one whose answers are known: the first brings ten thousand comments at once. When it
    has nothing new it doesn't answer.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self.stream_id = system.create_stream(title="A full house")
        self._stream = system.request("GET", f"/v1/streams/{self.stream_id}").json()
        self._next = range(COUNT)

    def open(self, page: Page, user: str = "", role: str = "viewer") -> None:
        """The watch page, once it has them all."""
        page.route(re.compile("/comments/subscribe"), self._answer)
        fragment = f"#token={self._system.token(user, role=role)}" if user else ""
        page.goto(f"{self._system.url}/watch/{self.stream_id}{fragment}")
        expect_in_memory(page, COUNT)

    def bring(self, page: Page, count: int) -> None:
        """So many more come."""
        self._next = range(self._next.stop, self._next.stop + count)
        page.evaluate("dispatchEvent(new Event('online'))")

    def _answer(self, route: Route) -> None:
        if not self._next:
            return
        recovered = self._next.start > 0
        snapshot = {"stream": self._stream, "comments": [], "recovered": recovered, "viewers": 2, "degraded": False}
        events = [("snapshot", snapshot), ("new_comment", posted(self._next))]
        body = f"retry: {_NEVER}\n\n" + "".join(
            f"event: {name}\nid: e-{self._next.stop}\ndata: {json.dumps(data)}\n\n" for name, data in events
        )
        self._next = range(self._next.stop, self._next.stop)
        route.fulfill(content_type="text/event-stream", body=body)


@pytest.fixture
def feed(system: System) -> FullFeed:
    return FullFeed(system)


_IN_SIGHT = """() => {
  const { top, bottom } = scroller.getBoundingClientRect();
  return [...document.querySelectorAll("#comments > li")]
    .map((row) => [Number(row.dataset.commentId.slice(1)), row.getBoundingClientRect()])
    .filter(([, box]) => box.bottom > top && box.top < bottom)
    .map(([number, box]) => [number, Math.round(box.top - top), Math.round(bottom - box.bottom)]);
}"""


def in_sight(page: Page) -> list[list[int]]:
    """The comments on the screen: their numbers, and how far they are from the list's upper and lower edge, px."""
    found: list[list[int]] = page.evaluate(_IN_SIGHT)
    return found


def expect_first_in_sight(page: Page, number: int, top: int) -> None:
    """Waits until this comment begins there, give or take a pixel."""
    page.wait_for_function(
        f"([number, top]) => {{ const [first] = ({_IN_SIGHT})();"
        " return first[0] === number && Math.abs(first[1] - top) <= 1; }",
        arg=[number, top],
    )


def test_ten_thousand_comments_are_in_memory_few_in_the_document_and_each_can_be_reached(
    visitors: Visitors, feed: FullFeed
) -> None:
    page = visitors.page()
    feed.open(page)
    expect(texts(page).last).to_have_text(text(COUNT - 1))
    assert distance_to_end(page) <= 1
    assert comments(page).count() < 80
    seen, most = walk(page)
    assert seen == [text(number) for number in range(COUNT)]
    assert most < 120


def test_who_is_further_up_keeps_their_place_when_comments_come_and_when_the_window_changes(
    visitors: Visitors, feed: FullFeed
) -> None:
    page = visitors.page()
    feed.open(page)
    page.locator("#scroller").hover()
    page.evaluate("() => void (window.atRest = new Promise(rest => scroller.addEventListener('scrollend', rest)))")
    page.mouse.wheel(0, -3_000)
    page.evaluate("window.atRest")
    before = in_sight(page)
    assert before[-1][0] < COUNT - 20
    feed.bring(page, 50)
    expect(page.get_by_role("button", name="50 new comments")).to_be_visible()
    # Give or take the fraction of a pixel that a browser can't scroll.
    assert in_sight(page) == [
        [number, pytest.approx(top, abs=1), pytest.approx(end, abs=1)] for number, top, end in before
    ]
    page.set_viewport_size({"width": 700, "height": 500})
    expect_first_in_sight(page, *before[0][:2])
    page.get_by_role("button", name="50 new comments").click()
    expect(texts(page).last).to_have_text(text(COUNT + 49))
    expect(texts(page).last).to_be_in_viewport()
    expect_in_memory(page, COUNT)


def test_who_leaps_to_the_middle_finds_the_screen_full_of_comments(visitors: Visitors, feed: FullFeed) -> None:
    page = visitors.page(PHONE, touch=True)
    feed.open(page)
    page.locator("#scroller").evaluate("box => box.scrollTo(0, box.scrollHeight / 2)")
    expect(comments(page).last).not_to_have_attribute("aria-posinset", str(COUNT))
    seen = in_sight(page)
    numbers = [number for number, *_ in seen]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert seen[0][1] <= 0
    assert seen[-1][2] <= 0


def test_what_comes_is_drawn_over_several_frames_and_ones_place_at_the_end_is_kept(
    visitors: Visitors, feed: FullFeed
) -> None:
    page = visitors.page()
    page.clock.install()
    feed.open(page)
    page.clock.pause_at(page.evaluate("Date.now()") + 60_000)
    page.evaluate("""() => {
      window.draws = [];
      const added = (records) => records.reduce((sum, record) => sum + record.addedNodes.length, 0);
      // Once after each draw, as draws are tasks of their own.
      new MutationObserver((records) => {
        const { scrollHeight, scrollTop, clientHeight } = scroller;
        if (added(records)) draws.push([added(records), scrollHeight - scrollTop - clientHeight]);
      }).observe(document.getElementById("comments"), { childList: true });
    }""")
    feed.bring(page, 30)
    newest = f"#comments > li[data-comment-id='c{COUNT + 29:06}']"
    eventually(lambda: page.clock.run_for(16) or page.locator(newest).count(), "the newest one is drawn")
    draws: list[tuple[int, float]] = page.evaluate("draws")
    assert sum(rows for rows, _ in draws) == 30
    assert max(rows for rows, _ in draws) <= 6, draws
    assert all(left <= 1 for _, left in draws), draws
    expect_in_memory(page, COUNT)


def test_every_row_says_which_of_how_many_it_is(visitors: Visitors, feed: FullFeed) -> None:
    page = visitors.page()
    feed.open(page)
    rows = comments(page).evaluate_all(
        "rows => rows.map(row => [row.ariaPosInSet, row.ariaSetSize, row.dataset.commentId])"
    )
    assert rows == [[str(int(each[1:]) + 1), str(COUNT), each] for _, _, each in rows]
    assert rows[-1][0] == str(COUNT)


def test_the_keyboard_goes_from_comment_to_comment_through_all_of_them(visitors: Visitors, feed: FullFeed) -> None:
    page = visitors.page()
    feed.open(page, "host", "host")

    def place() -> int:
        return int(page.evaluate("document.activeElement.closest('li')?.ariaPosInSet ?? 0"))

    page.locator("#scroller").focus()
    page.keyboard.press("Tab")
    assert place() == COUNT
    for steps in range(1, 101):
        page.keyboard.press("ArrowUp")
        assert place() == COUNT - steps
    expect(page.locator(":focus")).to_be_in_viewport()
    page.keyboard.press("Home")
    assert place() == 1
    expect(page.locator(":focus")).to_be_in_viewport()
    page.keyboard.press("ArrowDown")
    assert place() == 2
    page.keyboard.press("End")
    assert place() == COUNT
    expect(page.locator(":focus")).to_be_in_viewport()


def test_who_scrolls_up_just_before_comments_come_is_not_taken_back(visitors: Visitors, system: System) -> None:
    page = visitors.page()
    page.goto(f"{system.url}/")
    top, following = page.evaluate("""async () => {
      const { CommentList } = await import("/static/view/comment_list.js");
      const scroller = document.body.appendChild(document.createElement("div"));
      const list = scroller.appendChild(document.createElement("ol"));
      Object.assign(scroller.style, { height: "200px", overflow: "auto" });
      const comment = { author_id: "a", author_name: "A", text: "x", posted_at: "2026-01-01T12:00:00.000Z" };
      const items = (count) => Array.from({ length: count }, (_, at) => (
        { key: `c${at}`, comment: { ...comment, comment_id: `c${at}` }, state: "posted" }));
      const shown = new CommentList(scroller, list, () => ({}));
      shown.draw(items(50));
      // The browser tells of this in its next frame, and that is too late.
      scroller.scrollTop -= 300;
      const before = scroller.scrollTop;
      shown.draw(items(60));
      return [scroller.scrollTop - before, shown.following];
    }""")
    assert abs(top) < 2
    assert not following


def test_when_the_row_in_use_is_scrolled_away_the_keyboard_stays_with_the_list(
    visitors: Visitors, feed: FullFeed
) -> None:
    page = visitors.page()
    feed.open(page, "host", "host")
    page.locator("#scroller").focus()
    page.keyboard.press("Tab")
    page.locator("#scroller").evaluate("box => box.scrollTo(0, 1000)")
    expect(page.locator("#scroller")).to_be_focused()
    expect(page.get_by_role("button", name="Back to newest")).to_be_visible()
