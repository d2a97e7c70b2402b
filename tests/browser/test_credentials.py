"""Native EventSource and WebSocket, which take no header: by cookie and by ticket, as docs/tokens.md shows it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visitors
from tests.system import System
from tests.texts import examples

OPEN_FEED, WATCH = examples("docs/tokens.md", "js")
OF_SOCKET = """(socket) => new Promise((told) => {
  socket.onmessage = (message) => { socket.close(); told(JSON.parse(message.data).data.stream.stream_id); };
  socket.onerror = () => told("refused");
})"""
OF_SOURCE = """(source) => new Promise((told) => {
  source.addEventListener("snapshot", (event) => { source.close(); told(JSON.parse(event.data).stream.stream_id); });
  source.addEventListener("error", () => { source.close(); told("refused"); });
})"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One that takes a cookie."""
    with System(tmp_path_factory.mktemp("system"), edge_cookie="live") as running:
        yield running


def feed(system: System, stream: str) -> str:
    return f"{system.url.replace('http:', 'ws:')}/v1/streams/{stream}/feed"


def shown_by_source(page: Page, address: str) -> str:
    """The stream that an EventSource shows; "refused" when it shows none."""
    return str(page.evaluate(f"async (address) => ({OF_SOURCE})(new EventSource(address))", address))


def shown_by_socket(page: Page, address: str) -> str:
    return str(page.evaluate(f"async (address) => ({OF_SOCKET})(new WebSocket(address))", address))


def test_a_page_watches_a_private_stream_by_ticket(system: System, visitors: Visitors) -> None:
    stream = system.create_stream(visibility="private")
    page = visitors.page()
    page.goto(f"{system.url}/")
    opened = f"async ([stream, token]) => {{ {OPEN_FEED}; return ({OF_SOCKET})(await openFeed(stream, token)); }}"
    assert page.evaluate(opened, [stream, system.token("ann", streams=(stream,))]) == stream


def test_a_page_watches_a_private_stream_by_cookie_until_it_is_taken_away(system: System, visitors: Visitors) -> None:
    stream = system.create_stream(visibility="private")
    page = visitors.page()
    page.goto(f"{system.url}/")
    watched = f"async ([stream, token]) => {{ {WATCH}; return ({OF_SOURCE})(await watch(stream, token)); }}"
    assert page.evaluate(watched, [stream, system.token("ann", streams=(stream,))]) == stream
    assert page.evaluate("document.cookie") == ""
    subscribe = f"/v1/streams/{stream}/comments/subscribe"
    assert [shown_by_source(page, subscribe), shown_by_socket(page, feed(system, stream))] == [stream] * 2
    assert page.evaluate('async () => (await fetch("/v1/cookie", {method: "DELETE"})).status') == 204
    assert not visitors.faults
    assert [shown_by_source(page, subscribe), shown_by_socket(page, feed(system, stream))] == ["refused"] * 2
    # Chromium writes to the console what was refused.
    visitors.faults.clear()


def test_a_page_of_another_site_opens_nothing_with_a_visitors_cookie(system: System, visitors: Visitors) -> None:
    stream = system.create_stream(visibility="private")
    page = visitors.page()
    page.goto(f"{system.url}/")
    page.evaluate(
        f"async ([stream, token]) => {{ {WATCH}; (await watch(stream, token)).close(); }}",
        [stream, system.token("ann", streams=(stream,))],
    )
    assert shown_by_socket(page, feed(system, stream)) == stream
    # The same server by another name, which the cookie was not given to.
    page.goto(f"{system.url.replace('127.0.0.1', 'localhost')}/livez")
    assert shown_by_socket(page, feed(system, stream)) == "refused"
    visitors.faults.clear()
