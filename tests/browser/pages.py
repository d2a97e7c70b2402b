"""What people do on the pages, and what they see."""

from playwright.sync_api import Locator, Page


def comments(page: Page) -> Locator:
    """The comments on the screen, oldest first."""
    return page.locator("#comments > li")


def texts(page: Page) -> Locator:
    return page.locator("#comments .comment-text")


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
