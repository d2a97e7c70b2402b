"""Pin and delete: a stream's host and moderators, and authors their own."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visitors
from tests.browser.pages import comments, open_menu, texts, write
from tests.system import System


def test_a_host_pins_a_comment_for_everyone_and_takes_the_pin_away(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    for text in ("one", "two", "three"):
        system.post(stream_id, text)
    host = visitors.watch(system, stream_id, "host", role="host")
    viewer = visitors.watch(system, stream_id)
    open_menu(host, "two")
    host.get_by_role("menuitem", name="Pin").click()
    for page in (host, viewer):
        pinned = page.get_by_role("region", name="Pinned comment")
        expect(pinned.locator(".comment-text")).to_have_text("two")
        expect(texts(page)).to_have_text(["one", "two", "three"])
    expect(viewer.get_by_role("button", name="Unpin")).to_be_hidden()
    host.get_by_role("button", name="Unpin").click()
    for page in (host, viewer):
        expect(page.get_by_role("region", name="Pinned comment")).to_be_hidden()


def test_a_host_deletes_a_comment_for_everyone_with_the_keyboard_alone(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    for text in ("one", "two", "three"):
        system.post(stream_id, text)
    host = visitors.watch(system, stream_id, "host", role="host")
    viewer = visitors.watch(system, stream_id)
    host.locator("#scroller").focus()
    host.keyboard.press("Tab")
    last = comments(host).last.get_by_role("button")
    expect(last).to_be_focused()
    host.keyboard.press("ArrowUp")
    host.keyboard.press("Enter")
    expect(host.get_by_role("menuitem", name="Pin")).to_be_focused()
    # While the keyboard is in the list, nothing moves under it.
    system.post(stream_id, "four")
    expect(host.get_by_role("button", name="1 new comment")).to_be_visible()
    host.keyboard.press("ArrowDown")
    host.keyboard.press("Enter")
    expect(texts(viewer)).to_have_text(["one", "three", "four"])
    expect(comments(host).filter(has_text="two")).to_have_count(0)
    expect(comments(host).filter(has_text="three").get_by_role("button")).to_be_focused()
    host.keyboard.press("Tab")
    expect(texts(host)).to_have_text(["one", "three", "four"])


def test_a_deleted_comment_that_was_pinned_is_pinned_no_more(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    comment_id = system.post(stream_id, "one")["comment_id"]
    token = system.token("host", role="host")
    path = f"/v1/streams/{stream_id}"
    assert system.request("PUT", f"{path}/pinned", {"comment_id": comment_id}, token=token).status_code == 200
    page = visitors.watch(system, stream_id)
    expect(page.get_by_role("region", name="Pinned comment")).to_be_visible()
    assert system.request("DELETE", f"{path}/comments/{comment_id}", token=token).status_code == 204
    expect(page.get_by_role("region", name="Pinned comment")).to_be_hidden()
    expect(comments(page)).to_have_count(0)


def test_authors_delete_their_own_comments_and_no_others(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    system.post(stream_id, "of bob", user="bob")
    page = visitors.watch(system, stream_id, "ann")
    write(page, "of ann")
    mine = comments(page).filter(has_text="of ann")
    expect(mine.get_by_role("button")).to_have_count(1)
    expect(comments(page).filter(has_text="of bob").get_by_role("button")).to_have_count(0)
    open_menu(page, "of ann")
    expect(page.get_by_role("menuitem")).to_have_text(["Delete"])
    page.get_by_role("menuitem", name="Delete").click()
    expect(texts(page)).to_have_text(["of bob"])


def test_a_moderator_whose_token_names_the_stream_rules_it(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    system.post(stream_id, "one")
    page = visitors.page()
    token = system.token("mod", role="moderator", streams=(stream_id,))
    page.goto(f"{system.url}/watch/{stream_id}#token={token}")
    expect(comments(page)).to_have_count(1)
    open_menu(page, "one")
    page.get_by_role("menuitem", name="Delete").click()
    expect(comments(page)).to_have_count(0)


def test_what_the_server_refuses_is_said(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    system.post(stream_id, "one")
    page = visitors.watch(system, stream_id, "host", role="host")
    problem = {"reason": "OVERLOADED", "detail": "no core answers", "status": 503}
    page.route("**/pinned", lambda route: route.fulfill(status=503, json=problem))
    open_menu(page, "one")
    page.get_by_role("menuitem", name="Pin").click()
    expect(page.get_by_role("status").filter(has_text="no core answers")).to_be_visible()


def test_a_host_ends_the_stream_after_being_asked(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    host = visitors.watch(system, stream_id, "host", role="host")
    viewer = visitors.watch(system, stream_id, "ann")
    expect(viewer.get_by_role("button", name="End stream…")).to_be_hidden()
    host.get_by_role("button", name="End stream…").click()
    host.get_by_role("button", name="Keep it live").click()
    host.get_by_role("button", name="End stream…").click()
    host.get_by_role("button", name="End stream", exact=True).click()
    for page in (host, viewer):
        expect(page.locator("#connection")).to_have_text("Ended")
        expect(page.get_by_role("link", name="Watch the replay")).to_be_visible()


def test_a_host_ends_the_stream_with_notice(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    host = visitors.watch(system, stream_id, "host", role="host")
    viewer = visitors.watch(system, stream_id, "ann")
    host.get_by_role("button", name="End stream…").click()
    host.get_by_label("When").select_option("In 5 minutes")
    host.get_by_role("button", name="End stream", exact=True).click()
    for page in (host, viewer):
        expect(page.get_by_text(re.compile(r"This stream ends in (5:00|4:\d\d)"))).to_be_visible()
        expect(page.locator("#connection")).to_have_text("Live")


def test_a_host_sets_the_slow_mode_and_takes_it_away(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream(slow_mode_s=7)
    host = visitors.watch(system, stream_id, "host", role="host")
    viewer = visitors.watch(system, stream_id, "ann")
    expect(viewer.get_by_label("Slow mode")).to_be_hidden()
    choice = host.get_by_label("Slow mode")
    expect(choice.locator("option:checked")).to_have_text("7 seconds")
    choice.select_option("1 minute")
    expect(viewer.get_by_text("one comment every 60 seconds")).to_be_visible()
    choice.select_option("Off")
    expect(viewer.get_by_text("one comment every")).to_be_hidden()
    expect(choice).to_have_value("0")


def test_a_slow_mode_that_is_refused_stays_as_it_was(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream(slow_mode_s=5)
    host = visitors.watch(system, stream_id, "host", role="host")
    problem = {"reason": "OVERLOADED", "detail": "no core answers", "status": 503}
    host.route(
        f"**/v1/streams/{stream_id}",
        lambda route: route.fulfill(status=503, json=problem) if route.request.method == "PATCH" else route.continue_(),
    )
    choice = host.get_by_label("Slow mode")
    choice.select_option("1 minute")
    expect(host.get_by_role("status").filter(has_text="no core answers")).to_be_visible()
    expect(choice).to_have_value("5")
    expect(choice).to_be_enabled()


def test_a_host_bans_an_author_after_being_asked(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    system.post(stream_id, "from the host", user="host")
    bob = visitors.watch(system, stream_id, "bob", name="Bob")
    write(bob, "unkind")
    host = visitors.watch(system, stream_id, "host", role="host")
    open_menu(host, "from the host")
    expect(host.get_by_role("menuitem")).to_have_text(["Pin", "Delete"])
    host.keyboard.press("Escape")
    for answer in ("Cancel", "Ban"):
        open_menu(host, "unkind")
        host.get_by_role("menuitem", name="Ban Bob…").click()
        host.get_by_role("dialog", name="Ban Bob?").get_by_role("button", name=answer, exact=True).click()
        if answer == "Cancel":
            assert system.try_post(stream_id, "may still", user="bob").status_code == 202
    expect(host.get_by_role("status").filter(has_text="Bob is banned")).to_be_visible()
    write(bob, "unkind again")
    expect(bob.get_by_role("alert").filter(has_text="ban")).to_be_visible()
    expect(comments(bob).filter(has_text="unkind again")).to_contain_text("Not posted")
    expect(texts(host)).to_have_text(["from the host", "unkind", "may still"])
