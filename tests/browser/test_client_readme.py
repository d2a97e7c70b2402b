"""The examples of the JavaScript client's README, in Chromium, as they stand there."""

import re

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from tests.browser.clients import open_page, silence
from tests.browser.conftest import Visitors
from tests.processes import eventually
from tests.system import System
from tests.texts import examples

PAGE = "clients/js/README.md"


@pytest.fixture(scope="module")
def final(system: System) -> str:
    """What stands for the stream of the examples, with a comment at its beginning."""
    stream = system.create_stream()
    system.post(stream, "What a goal!", user="bob")
    return stream


def run(visitors: Visitors, page: Page, system: System, script: str, stream: str) -> None:
    """Opens a page that has the README's elements and runs one of its scripts, on a stream of ours."""
    script = re.sub(r'stream: "\w+"', f'stream: "{stream}"', script)
    importmap, *elements = examples(PAGE, "html")
    html = f'<!doctype html><meta charset="utf-8">{importmap}{"".join(elements)}<script type="module">{script}</script>'
    html = html.replace("http://127.0.0.1:8080", system.url).replace("recording.mp4", silence(5))
    open_page(visitors, system.url, html, page)


def test_one_watches_and_posts(system: System, visitors: Visitors, final: str) -> None:
    watching, _, _ = examples(PAGE, "js")
    page = visitors.page()
    page.add_init_script(f"localStorage.setItem('token', '{system.token('ann', name='Ann', ttl_s=10)}')")
    page.route(f"{system.url}/my/token", lambda route: route.fulfill(body=system.token("ann", name="Ann")))
    with page.expect_request("**/my/token"):
        run(visitors, page, system, watching, final)
    rows = page.locator("#comments li")
    expect(rows.first).to_have_text("bob: What a goal!")
    page.locator("#text").fill("Indeed!")
    page.locator("#text").press("Enter")
    expect(rows.last).to_have_text("Ann: Indeed!")
    expect(rows.last).to_have_class("posted")
    page.locator("#text").fill("x" * 501)
    page.locator("#text").press("Enter")
    expect(page.locator("#notice")).to_contain_text("500")
    expect(rows.last).to_have_class("failed")


def test_comments_appear_beside_the_player(system: System, visitors: Visitors, final: str) -> None:
    _, beside, _ = examples(PAGE, "js")
    page = visitors.page()
    system.stored(final, lambda comments: comments)
    run(visitors, page, system, beside, final)
    page.evaluate("Object.assign(document.querySelector('#player'), { muted: true }).play()")
    expect(page.locator("#replayed li").first).to_have_text(re.compile(r"^\d+\.\d s: What a goal!$"))


def test_what_one_is_told(system: System, visitors: Visitors, final: str) -> None:
    _, _, told = examples(PAGE, "js")
    page = visitors.page()
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text.strip())

    page.on("console", hear)
    run(visitors, page, system, told, final)
    eventually(lambda: page.evaluate("1") and "live" in said, "it is live")
    system.post(final, "heard")
    eventually(lambda: page.evaluate("1") and "heard" in said, "the comment is told")
    eventually(lambda: page.evaluate("1") and said[-1] == "closed", "it is closed")
    assert said.index("live") < said.index("heard") < said.index("closed")


def test_the_example_of_the_first_page_runs(system: System, visitors: Visitors) -> None:
    (example,) = examples("README.md", "js", under="From a page")
    page = visitors.page()
    given = f"const token = '{system.token('ann')}';\n"
    given += (
        "const draw = (comments) => (document.body.textContent = comments.map(({ comment }) => comment.text).join());\n"
    )
    run(
        visitors,
        page,
        system,
        f"{example.partition(';')[0]};\n{given}{example.partition(';')[2]}",
        system.create_stream(),
    )
    expect(page.locator("body")).to_have_text("What a goal!")
