"""A comment that could not be posted: it stays in the list with the reason, and can be sent again or taken away."""

import re

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Visitors
from tests.browser.pages import comments, expect_in_memory, texts, write
from tests.processes import eventually
from tests.system import System

_POSTS = re.compile(r"/comments$")
_BANNED = {"reason": "BANNED", "detail": "you may not comment in this stream", "status": 403}


def failed(page: Page) -> Locator:
    return comments(page).filter(has_text=re.compile("Not (posted|confirmed)"))


def refuse(route: Route) -> None:
    route.fulfill(status=403, json=_BANNED)


def test_a_refused_comment_stays_with_the_reason_and_is_sent_again(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    page = visitors.watch(system, stream_id, "ann", name="Ann")
    page.route(_POSTS, refuse)
    write(page, "let me in")
    expect(failed(page)).to_contain_text("You may not comment in this stream.")
    expect(page.locator("#alerts")).to_have_text(re.compile("not posted.*You may not comment in this stream"))
    assert page.locator("#alerts").get_attribute("role") == "alert"
    expect(page.get_by_label("Your comment")).to_have_value("")
    # What others say goes on above it.
    system.post(stream_id, "meanwhile", user="bob")
    expect(texts(page)).to_have_text(["meanwhile", "let me in"])
    page.unroute(_POSTS)
    failed(page).get_by_role("button", name="Try again").click()
    expect(failed(page)).to_have_count(0)
    expect(texts(page)).to_have_text(["meanwhile", "let me in"])
    expect(page.locator("#alerts")).to_be_empty()
    expect(page.get_by_label("Your comment")).to_be_focused()
    expected = ["meanwhile", "let me in"]
    system.stored(stream_id, lambda comments: [comment["text"] for comment in comments] == expected)


def test_a_comment_that_nobody_answers_for_a_minute_stays_and_is_posted_once(
    system: System, visitors: Visitors
) -> None:
    stream_id = system.create_stream()
    page = visitors.page()
    page.clock.install()
    visitors.watch(system, stream_id, "ann", page=page)
    keys: set[str] = set()

    def never(route: Route) -> None:
        keys.add(route.request.headers["idempotency-key"])
        route.abort()

    page.route(_POSTS, never)
    write(page, "is anyone there?")
    eventually(lambda: page.clock.run_for(2_000) or failed(page).is_visible(), "it is given up")
    expect(failed(page)).to_contain_text("Not confirmed")
    expect(failed(page)).to_contain_text("it isn’t certain whether this was posted")
    page.unroute(_POSTS)
    with page.expect_request(_POSTS) as again:
        failed(page).get_by_role("button", name="Try again").click()
    assert keys == {again.value.headers["idempotency-key"]}
    expect(failed(page)).to_have_count(0)
    system.stored(stream_id, lambda comments: [comment["text"] for comment in comments] == ["is anyone there?"])


def test_a_text_that_can_not_be_posted_is_changed_in_the_field(system: System, visitors: Visitors) -> None:
    page = visitors.watch(system, system.create_stream(), "ann")
    write(page, "bell \u0007")
    expect(failed(page)).to_contain_text(re.compile(r"Text .*\."))
    expect(failed(page).get_by_role("button", name="Try again")).to_have_count(0)
    field = page.get_by_label("Your comment")
    field.fill("typed since")
    failed(page).get_by_role("button", name="Edit").click()
    expect(field).to_have_value("bell \u0007\ntyped since")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert").filter(has_text=re.compile("^Text "))).to_be_visible()
    expect(comments(page)).to_have_count(0)
    write(page, "no bell")
    expect(texts(page)).to_have_text(["no bell"])
    expect(field).to_have_attribute("aria-invalid", "false")


def test_a_comment_that_failed_is_taken_away_with_the_keyboard_alone(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    system.post(stream_id, "first", user="bob")
    page = visitors.watch(system, stream_id, "ann")
    page.route(_POSTS, refuse)
    write(page, "never mind")
    expect(failed(page)).to_have_count(1)
    page.keyboard.press("Shift+Tab")
    expect(failed(page).get_by_role("button", name="Remove")).to_be_focused()
    page.keyboard.press("Enter")
    expect(texts(page)).to_have_text(["first"])
    expect(page.get_by_label("Your comment")).to_be_focused()
    # The list goes on.
    system.post(stream_id, "second", user="bob")
    expect_in_memory(page, 2)
    expect(texts(page)).to_have_text(["first", "second"])


def test_a_token_that_ends_while_the_page_is_open_costs_no_text(system: System, visitors: Visitors) -> None:
    page = visitors.page()
    page.clock.install()
    visitors.watch(system, system.create_stream(), "ann", page=page)
    page.evaluate("localStorage.clear()")
    write(page, "who am I?")
    expect(page.get_by_role("heading", name="Sign in with a token")).to_be_visible()
    page.get_by_role("textbox", name="Token").fill(system.token("ann"))
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Your comment")).to_have_value("who am I?")
    expect(comments(page)).to_have_count(0)
