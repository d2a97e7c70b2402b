"""The watch page: comments appear as they are posted, and one can post."""

import re
from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import Route, expect

from tests.browser.conftest import Visitors
from tests.browser.pages import comments, distance_to_end, expect_in_memory, texts, walk, write
from tests.processes import eventually
from tests.system import System


def test_a_comment_posted_on_one_page_is_seen_on_another_and_in_the_replay(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream(title="Two pages")
    ann = visitors.watch(system, stream_id, "ann", name="Ann")
    bob = visitors.watch(system, stream_id)
    expect(ann.get_by_text("No comments yet")).to_be_visible()
    write(ann, "Good evening")
    for page in (ann, bob):
        expect(texts(page)).to_have_text(["Good evening"])
        expect(comments(page).locator(".comment-author")).to_have_text(["Ann"])
    expect(ann.get_by_label("Your comment")).to_have_value("")
    expect(bob.get_by_text("Sign in to comment.")).to_be_visible()
    system.end_stream(stream_id)
    for page in (ann, bob):
        expect(page.locator("#connection")).to_have_text("Ended")
        expect(page.get_by_label("Your comment")).to_be_hidden()
    bob.get_by_role("link", name="Watch the replay").click()
    expect(bob).to_have_url(f"{system.url}/replay/{stream_id}")
    bob.get_by_role("button", name="Play").click()
    expect(texts(bob)).to_have_text(["Good evening"])


def test_markup_is_shown_as_text(system: System, visitors: Visitors) -> None:
    text = "<img src=x onerror=\"document.title='taken'\"><b>bold</b> &amp; <script>document.title='taken'</script>"
    stream_id = system.create_stream(title="<i>Title</i>")
    page = visitors.watch(system, stream_id, "ann", name="<u>Ann</u>")
    write(page, text)
    expect(texts(page)).to_have_text([text])
    expect(comments(page).locator(".comment-author")).to_have_text(["<u>Ann</u>"])
    expect(page.locator("h1")).to_have_text("<i>Title</i>")
    assert page.locator("#comments :is(img, b, script, u), h1 i").count() == 0
    expect(page).to_have_title("<i>Title</i> · Live comments")


def test_the_list_follows_until_one_scrolls_up_and_a_button_leads_back(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    for number in range(60):
        system.post(stream_id, f"comment {number}")
    page = visitors.watch(system, stream_id)
    expect_in_memory(page, 60)
    assert distance_to_end(page) <= 1
    page.locator("#scroller").hover()
    page.mouse.wheel(0, -300)
    back = page.get_by_role("button", name="Back to newest")
    expect(back).to_be_visible()
    before = page.locator("#scroller").evaluate("box => box.scrollTop")
    for number in range(60, 63):
        system.post(stream_id, f"comment {number}")
    button = page.get_by_role("button", name="3 new comments")
    expect(button).to_be_visible()
    assert page.locator("#scroller").evaluate("box => box.scrollTop") == before
    button.click()
    expect(texts(page).last).to_have_text("comment 62")
    expect(texts(page).last).to_be_in_viewport()
    expect(button).to_be_hidden()
    system.post(stream_id, "comment 63")
    expect(texts(page).last).to_have_text("comment 63")
    assert distance_to_end(page) <= 1


def test_writing_several_lines_does_not_stop_the_list(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    for number in range(40):
        system.post(stream_id, f"comment {number}")
    page = visitors.watch(system, stream_id, "ann")
    page.get_by_label("Your comment").fill("one\ntwo\nthree\nfour\nfive\nsix\nseven")
    page.get_by_label("Your comment").fill("one\ntwo")
    system.post(stream_id, "and on it goes", user="bob")
    expect(texts(page).last).to_have_text("and on it goes")
    expect(texts(page).last).to_be_in_viewport()


def test_older_comments_load_at_the_top_until_it_began(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    with ThreadPoolExecutor(8) as posting:
        list(posting.map(lambda number: system.post(stream_id, f"comment {number}"), range(530)))
    expected = [comment["text"] for comment in system.stored(stream_id, lambda stored: len(stored) == 530)]
    page = visitors.watch(system, stream_id)
    expect(texts(page).last).to_have_text(expected[-1])
    before = int(comments(page).last.get_attribute("aria-setsize") or 0)
    assert before < 530
    while page.get_by_text("This is where it began.").is_hidden():
        page.locator("#scroller").evaluate("box => box.scrollTo(0, 0)")
        # There is more to scroll up to, or nothing at all.
        page.wait_for_function(
            "before => Number(document.querySelector('#comments > li').ariaSetSize) > before || !beginning.hidden",
            arg=before,
        )
        before = int(comments(page).last.get_attribute("aria-setsize") or 0)
    expect_in_memory(page, 530)
    assert walk(page)[0] == expected


def test_viewers_are_counted(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    first = visitors.watch(system, stream_id)
    expect(first.locator("#viewers")).to_have_text("1 viewer")
    second = visitors.watch(system, stream_id)
    for page in (first, second):
        expect(page.locator("#viewers")).to_have_text("2 viewers")


def test_a_text_that_is_too_long_is_counted_and_not_sent(system: System, visitors: Visitors) -> None:
    page = visitors.watch(system, system.create_stream(), "ann")
    field, send = page.get_by_label("Your comment"), page.get_by_role("button", name="Send")
    expect(send).to_be_disabled()
    field.fill("🦊" * 490)
    expect(page.get_by_text("10 left")).to_be_visible()
    expect(send).to_be_enabled()
    field.fill("🦊" * 502)
    expect(page.get_by_text("2 too many")).to_be_visible()
    expect(send).to_be_disabled()
    field.press("Enter")
    expect(comments(page)).to_have_count(0)


def test_who_posts_too_fast_is_told_when_to_go_on_and_the_text_is_kept(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream(slow_mode_s=60)
    page = visitors.watch(system, stream_id, "ann")
    system.post(stream_id, "first", user="ann")
    expect(texts(page)).to_have_text(["first"])
    write(page, "second")
    expect(page.get_by_text(re.compile(r"You can comment again in (60|5\d) seconds\."))).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    expect(texts(page)).to_have_text(["first", "second"])
    expect(comments(page).last).to_contain_text("Slow mode: one comment in 60 s.")
    expect(page.get_by_text(re.compile(r"You can comment again in 5[0-8] seconds\."))).to_be_visible()


def test_a_post_without_an_answer_is_sent_again_and_appears_once(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    page = visitors.watch(system, stream_id, "ann")
    keys: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        elif len(keys) == 2:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"reason": "OVERLOADED", "status": 503})
        else:
            route.continue_()

    page.route(re.compile(r"/comments$"), lose_the_first_answer)
    write(page, "only once")
    expect(page.get_by_text("Trying again in 1 second…")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    expect(page.locator("#composer-note")).to_be_empty()
    write(page, "and then this")
    expect(texts(page)).to_have_text(["only once", "and then this"])
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1
    assert [comment["text"] for comment in system.replay(stream_id)][:1] == ["only once"]


def test_ones_own_comment_stands_there_while_it_is_sent(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    page = visitors.watch(system, stream_id, "ann")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/comments$"), hold)
    write(page, "on its way")
    expect(comments(page)).to_have_text([re.compile("on its way.*Sending…")])
    held[0].continue_()
    expect(comments(page).get_by_text("Sending…")).to_have_count(0)
    expect(texts(page)).to_have_text(["on its way"])


def test_an_unknown_stream_is_refused_in_words(system: System, visitors: Visitors) -> None:
    page = visitors.page()
    page.goto(f"{system.url}/watch/nowhere")
    expect(page.locator("#connection")).to_have_text("Not available")
    expect(page.get_by_text("there is no such stream")).to_be_visible()


def test_a_private_stream_opens_with_a_token_that_names_it(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream(visibility="private")
    page = visitors.page()
    page.goto(f"{system.url}/watch/{stream_id}")
    expect(page.locator("#connection")).to_have_text("Not available")
    page.locator("#refused").get_by_role("button", name="Sign in").click()
    page.get_by_role("textbox", name="Token").fill(system.token("ann", streams=(stream_id,)))
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(page.locator("#connection")).to_have_text("Live")
    write(page, "among us")
    expect(texts(page)).to_have_text(["among us"])
    token = system.token("host", role="host")
    assert system.request("POST", f"/v1/streams/{stream_id}/end", token=token).status_code == 200
    expect(page.locator("#connection")).to_have_text("Ended")


def test_an_announced_end_and_a_new_title_are_shown(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream(title="Before")
    page = visitors.watch(system, stream_id)
    token = system.token("host", role="host")
    system.request("PATCH", f"/v1/streams/{stream_id}", {"title": "After", "slow_mode_s": 5}, token=token)
    expect(page.locator("h1")).to_have_text("After")
    expect(page.get_by_text("one comment every 5 seconds")).to_be_visible()
    system.request("POST", f"/v1/streams/{stream_id}/end", {"notice_s": 90}, token=token)
    expect(page.get_by_text(re.compile(r"This stream ends in 1:\d\d"))).to_be_visible()


def test_who_gets_a_sample_is_told_so_for_a_while(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    with system.service("edge", "-sampling", edge_max_comments_per_second="5") as sampling:
        page = visitors.page()
        page.clock.install()
        page.goto(f"http://{sampling.address}/watch/{stream_id}")
        expect(page.locator("#connection")).to_have_text("Live")
        with ThreadPoolExecutor(4) as posting:
            list(posting.map(lambda number: system.post(stream_id, f"comment {number}"), range(60)))
        notice = page.get_by_text("So many comments that you see a sample.")
        eventually(lambda: page.clock.run_for(50) or notice.is_visible(), "the notice")
        page.clock.run_for(11_000)
        expect(notice).to_be_hidden()


def test_who_has_no_network_is_told_so_and_gets_what_was_missed(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    page = visitors.watch(system, stream_id)
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_have_text("Offline")
    expect(page.get_by_text("You are offline.")).to_be_visible()
    system.post(stream_id, "missed")
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.get_by_text("You are offline.")).to_be_hidden()
    expect(texts(page)).to_have_text(["missed"])


def test_a_screen_reader_hears_a_summary(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    page = visitors.page()
    page.clock.install()
    visitors.watch(system, stream_id, page=page)
    for number in range(5):
        system.post(stream_id, f"comment {number}")
    page.clock.run_for(100)
    expect(comments(page)).to_have_count(5)
    page.clock.run_for(8_000)
    expect(page.locator("#announcer")).to_have_text("5 new comments, the latest from ann")
