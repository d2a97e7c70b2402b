"""What Chromium makes of the feed's bytes: compressed once for all, on the connection that has brought the page."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitors
from tests.browser.pages import texts
from tests.processes import eventually
from tests.system import System


class Wire:
    """The responses that a page gets, as Chromium's network layer has them."""

    def __init__(self, page: Page) -> None:
        self.responses: list[dict[str, Any]] = []
        session = page.context.new_cdp_session(page)
        session.on("Network.responseReceived", lambda event: self.responses.append(event["response"]))
        session.send("Network.enable")

    @property
    def feed(self) -> dict[str, Any]:
        """The one that carries the feed."""
        (found,) = [response for response in self.responses if response["url"].endswith("/comments/subscribe")]
        return found


def test_whoever_joins_late_reads_each_batch_of_a_compressed_feed_as_it_comes(
    system: System, visitors: Visitors
) -> None:
    stream_id = system.create_stream()
    pages: list[Page] = []
    expected: list[str] = []
    for number in range(3):
        page = visitors.page()
        wire = Wire(page)
        visitors.watch(system, stream_id, page=page)
        pages.append(page)
        assert wire.feed["headers"]["content-encoding"] == "gzip"
        for turn in range(3):
            expected.append(f"visitor {number} is here, turn {turn}")
            system.post(stream_id, expected[-1])
            # Before the next is posted: nothing waits for what follows it.
            for each in pages:
                expect(texts(each)).to_have_text(expected)


def test_a_page_watches_on_a_connection_that_has_brought_its_parts(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    eventually(lambda: system.edge.metric("livecomments_edge_connections") == 0, "nobody watches any more")
    page = visitors.page()
    wire = Wire(page)
    visitors.watch(system, stream_id, page=page)
    feed = wire.feed
    assert feed["connectionReused"]
    assert feed["connectionId"] in {response["connectionId"] for response in wire.responses if response is not feed}
    assert system.edge.metric("livecomments_edge_connections") == 1
    assert system.edge.metric("livecomments_edge_ordinary_viewers") == 0
    system.post(stream_id, "on a connection that Hypercorn has had")
    expect(texts(page)).to_have_text(["on a connection that Hypercorn has had"])
    page.close()
    eventually(lambda: system.edge.metric("livecomments_edge_connections") == 0, "the edge notices that it has gone")


def test_fetch_reads_a_compressed_feed_to_its_end(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    system.post(stream_id, "before")
    page = visitors.watch(system, stream_id)
    page.evaluate(
        """(path) => {
          window.whole = fetch(path).then(async (response) => ({
            coding: response.headers.get("content-encoding"),
            text: await response.text(),
          }));
        }""",
        f"/v1/streams/{stream_id}/comments/subscribe",
    )
    eventually(lambda: system.edge.metric("livecomments_edge_connections") >= 2, "it is being fetched")
    system.post(stream_id, "live")
    system.end_stream(stream_id)
    whole = page.evaluate("window.whole")
    assert whole["coding"] == "gzip"
    for part in ('"text":"before"', '"text":"live"', "event: stream_ended"):
        assert whole["text"].count(part) == 1
