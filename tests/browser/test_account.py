"""Who one is on the pages: tokens, the theme, creating a stream."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visitors
from tests.browser.pages import texts, write
from tests.processes import eventually
from tests.system import System


def test_one_signs_in_with_a_token_is_named_and_signs_out(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    page = visitors.watch(system, stream_id)
    page.get_by_role("banner").get_by_role("button", name="Sign in").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog.get_by_role("alert")).to_have_text("Paste a token first.")
    field = dialog.get_by_role("textbox", name="Token")
    field.fill("hello")
    field.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("not a token")
    expect(field).to_be_focused()
    field.fill(system.token("ann", name="Ann"))
    field.press("Enter")
    expect(dialog).to_be_hidden()
    write(page, "it is me")
    expect(texts(page)).to_have_text(["it is me"])
    page.get_by_role("button", name="Signed in as Ann").click()
    expect(dialog).to_contain_text("viewer")
    dialog.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("Sign in to comment.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Sign in to comment.")).to_be_visible()


def test_a_token_in_the_address_is_kept_and_leaves_the_address(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    page = visitors.watch(system, stream_id, "ann", name="Ann")
    expect(page).to_have_url(f"{system.url}/watch/{stream_id}")
    page.goto(system.url)
    expect(page.get_by_role("button", name="Signed in as Ann")).to_be_visible()


def test_an_expired_token_is_refused_before_it_is_used(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    page = visitors.page()
    page.goto(f"{system.url}/watch/{stream_id}#token={system.token('ann', ttl_s=-60)}")
    expect(page.get_by_text("This token has expired.")).to_be_visible()
    expect(page.get_by_text("Sign in to comment.")).to_be_visible()


def test_a_token_that_the_server_does_not_know_asks_for_another_and_the_text_is_kept(
    system: System, visitors: Visitors
) -> None:
    stream_id = system.create_stream()
    page = visitors.page()
    forged = system.token("ann")[:-6] + "AAAAAA"
    page.goto(f"{system.url}/watch/{stream_id}#token={forged}")
    expect(page.locator("#connection")).to_have_text("Live")
    write(page, "is it me?")
    page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    page.locator("#composer-area").get_by_role("button", name="Sign in").click()
    page.get_by_role("textbox", name="Token").fill(system.token("ann"))
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    row = page.locator("#comments > li")
    expect(row).to_contain_text("Not posted")
    row.get_by_role("button", name="Try again").click()
    expect(row).not_to_contain_text("Not posted")
    expect(row.locator(".comment-text")).to_have_text("is it me?")


def test_the_theme_follows_the_system_until_one_chooses(system: System, visitors: Visitors) -> None:
    page = visitors.page(scheme="dark")
    page.goto(system.url)
    background = page.locator("body")
    expect(background).to_have_css("background-color", "rgb(16, 19, 21)")
    page.get_by_role("button", name="Use light theme").click()
    expect(background).to_have_css("background-color", "rgb(245, 244, 240)")
    page.reload()
    expect(background).to_have_css("background-color", "rgb(245, 244, 240)")
    expect(page.get_by_role("button", name="Use dark theme")).to_be_visible()


def test_the_first_page_lists_live_streams_and_ended_ones(system: System, visitors: Visitors) -> None:
    live = system.create_stream(title="Now or never")
    ended = system.create_stream(title="Long ago")
    system.end_stream(ended)
    page = visitors.page()
    page.goto(system.url)
    live_link = page.get_by_role("region", name="Live now").get_by_role("link", name="Now or never", exact=True)
    expect(live_link).to_have_attribute("href", f"/watch/{live}")
    ended_link = page.get_by_role("region", name="Ended").get_by_role("link", name="Long ago", exact=True)
    expect(ended_link).to_have_attribute("href", f"/replay/{ended}")
    expect(page.get_by_role("button", name="New stream")).to_be_hidden()
    live_link.click()
    expect(page.locator("h1")).to_have_text("Now or never")


def test_the_first_page_says_how_many_watch(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream(title="Watched by two")
    for _ in range(2):
        visitors.watch(system, stream_id)
    eventually(lambda: system.request("GET", f"/v1/streams/{stream_id}").json()["viewers"] == 2, "both are counted")
    page = visitors.page()
    page.goto(system.url)
    card = page.get_by_role("listitem").filter(has_text="Watched by two")
    expect(card).to_contain_text("2 watching")


def test_a_host_creates_a_stream_and_is_told_what_is_wrong_with_it(system: System, visitors: Visitors) -> None:
    taken = system.create_stream(host="someone-else")
    page = visitors.page()
    page.goto(f"{system.url}/#token={system.token('host', role='host')}")
    page.get_by_role("button", name="New stream").click()
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#title-error")).not_to_be_empty()
    expect(page.get_by_role("textbox", name="Title")).to_be_focused()
    page.get_by_role("textbox", name="Title").fill("My stream")
    page.get_by_label("Address").fill(taken)
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#create-error")).not_to_be_empty()
    page.get_by_label("Address").fill(f"{taken}-mine")
    page.get_by_label("Slow mode").fill("7")
    page.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile(f"/watch/{taken}-mine$"))
    expect(page.locator("h1")).to_have_text("My stream")
    expect(page.get_by_text("one comment every 7 seconds")).to_be_visible()
    expect(page.get_by_role("button", name="End stream…")).to_be_visible()
