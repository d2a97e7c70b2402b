"""A page outlives its edge."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitors
from tests.browser.pages import texts, write
from tests.system import System


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system whose processes may be killed."""
    with System(tmp_path_factory.mktemp("fragile"), core_user_rate="0", edge_address_rate="0") as running:
        yield running


def test_a_page_reconnects_and_misses_nothing(fragile: System, visitors: Visitors) -> None:
    stream_id = fragile.create_stream()
    fragile.post(stream_id, "before")
    page = visitors.watch(fragile, stream_id, "ann")
    expect(texts(page)).to_have_text(["before"])
    with fragile.service("edge", "-2") as other:
        fragile.edge.kill()
        expect(page.locator("#connection")).to_have_text("Reconnecting…")
        url = f"http://{other.address}/v1/streams/{stream_id}/comments"
        for number in range(5):
            answer = fragile.client.post(
                url, json={"text": f"missed {number}"}, headers={"Authorization": f"Bearer {fragile.token('bob')}"}
            )
            assert answer.status_code == 202, answer.text
        # What is written meanwhile is sent when the edge is back.
        write(page, "written while away")
        expect(page.get_by_text("The server is busy. Trying again")).to_be_visible()
        fragile.edge.start()
        expect(page.locator("#connection")).to_have_text("Live")
        expected = ["before", *(f"missed {number}" for number in range(5)), "written while away"]
        expect(texts(page)).to_have_text(expected)
    expect(page.get_by_text("Sending…")).to_have_count(0)
    fragile.post(stream_id, "after", user="bob")
    expect(texts(page)).to_have_text([*expected, "after"])


def test_a_page_that_was_away_at_the_end_shows_it(fragile: System, visitors: Visitors) -> None:
    stream_id = fragile.create_stream()
    page = visitors.watch(fragile, stream_id)
    with fragile.service("edge", "-2") as other:
        fragile.edge.kill()
        expect(page.locator("#connection")).to_have_text("Reconnecting…")
        base = f"http://{other.address}/v1/streams/{stream_id}"
        ann = {"Authorization": f"Bearer {fragile.token('ann')}"}
        host = {"Authorization": f"Bearer {fragile.token('host', role='host')}"}
        assert fragile.client.post(f"{base}/comments", json={"text": "last"}, headers=ann).status_code == 202
        assert fragile.client.post(f"{base}/end", headers=host).status_code == 200
        fragile.edge.start()
        expect(page.locator("#connection")).to_have_text("Ended")
    expect(texts(page)).to_have_text(["last"])
