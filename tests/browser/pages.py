"""What people do on the pages, and what they see."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.processes import eventually

_WALK = """() => {
  const scroller = document.getElementById("scroller");
  const found = new Map();
  let most = 0;
  const go = (top) => {
    scroller.scrollTop = top;
    // The browser says so in its next frame; here is no time for one at each step.
    scroller.dispatchEvent(new Event("scroll"));
  };
  go(0);
  for (;;) {
    const box = scroller.getBoundingClientRect();
    const rows = document.querySelectorAll("#comments > li");
    most = Math.max(most, rows.length);
    for (const row of rows) {
      const { top, bottom } = row.getBoundingClientRect();
      if (bottom > box.top && top < box.bottom) {
        found.set(Number(row.ariaPosInSet), row.querySelector(".comment-text").textContent);
      }
    }
    const before = scroller.scrollTop;
    go(before + 0.6 * box.height);
    if (scroller.scrollTop <= before) break;
  }
  return { texts: [...found].sort((a, b) => a[0] - b[0]).map(([, text]) => text), most };
}"""


def until(page: Page, condition: str) -> None:
    """Waits until an expression is true in the page.

    Playwright's own ``wait_for_function`` asks again from within the page, whose policy forbids that.
    """
    eventually(lambda: page.evaluate(condition), condition)


def comments(page: Page) -> Locator:
    """The comments that are drawn: those on the screen, and some above and below; oldest first."""
    return page.locator("#comments > li")


def texts(page: Page) -> Locator:
    return page.locator("#comments .comment-text")


def expect_in_memory(page: Page, count: int) -> None:
    """Waits until the list holds so many comments, drawn or not."""
    expect(comments(page).last).to_have_attribute("aria-setsize", str(count))


def walk(page: Page) -> tuple[list[str], int]:
    """Scrolls from the first comment to the last: the texts seen on the way, and the most rows drawn at once."""
    seen: dict[str, Any] = page.evaluate(_WALK)
    return seen["texts"], seen["most"]


def write(page: Page, text: str) -> None:
    """Writes a comment and sends it."""
    field = page.get_by_label("Your comment")
    field.fill(text)
    field.press("Enter")


def open_menu(page: Page, text: str) -> None:
    """Opens the menu of the comment with this text."""
    row = comments(page).filter(has_text=text)
    row.hover()
    row.get_by_role("button", name="Actions for the comment").click()


def distance_to_end(page: Page) -> float:
    """How far the list is from its newest comment, px."""
    distance: float = page.locator("#scroller").evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight")
    return distance
