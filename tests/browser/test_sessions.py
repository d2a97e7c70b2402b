"""Many streams on one connection, by a browser's own EventSource."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visitors
from tests.processes import eventually
from tests.system import System

WATCH = """(streams) => {
  const names = ["session", "snapshot", "new_comment"];
  window.seen = { sessions: [], texts: {}, recovered: [] };
  const source = new EventSource("/v1/events?" + streams.map((stream) => `stream=${stream}`).join("&"));
  for (const name of names) {
    source.addEventListener(name, (event) => {
      const { session_id, stream_id, data } = JSON.parse(event.data);
      if (name === "session") {
        window.seen.sessions.push({ id: session_id, streams: JSON.parse(event.data).streams });
        return;
      }
      if (name === "snapshot") window.seen.recovered.push(data.recovered);
      const comments = name === "snapshot" ? data.comments : data;
      (window.seen.texts[stream_id] ??= []).push(...comments.map((comment) => comment.text));
    });
  }
}"""


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system whose processes may be killed."""
    with System(tmp_path_factory.mktemp("fragile"), core_user_rate="0", edge_address_rate="0") as running:
        yield running


def wait_for(page: Page, condition: str, argument: object = None) -> None:
    page.wait_for_function(condition, arg=argument, timeout=60_000)


def test_an_event_source_comes_back_with_what_was_added_and_without_what_was_dropped(
    fragile: System, visitors: Visitors
) -> None:
    one, dropped, added = (fragile.create_stream() for _ in range(3))
    page = visitors.page()
    page.goto(f"{fragile.url}/")
    page.evaluate(WATCH, [one, dropped])
    wait_for(page, "() => window.seen.recovered.length === 2")
    session = page.evaluate("window.seen.sessions[0].id")
    eventually(lambda: fragile.edge.metric("livecomments_edge_ordinary_viewers") == 0, "it is handed off")
    assert fragile.edge.metric("livecomments_edge_sessions") == 1
    change = """([method, session, stream]) =>
      fetch(`/v1/sessions/${session}/streams/${stream}`, { method }).then((response) => response.status)"""
    assert page.evaluate(change, ["PUT", session, added]) == 204
    assert page.evaluate(change, ["DELETE", session, dropped]) == 204
    fragile.post(one, "before")
    wait_for(page, "(one) => window.seen.texts[one]?.length === 1", one)
    with fragile.service("edge", "-2") as other:
        fragile.edge.kill()
        url = f"http://{other.address}"
        eventually(lambda: fragile.client.get(f"{url}/readyz").status_code == 200, "the other edge is ready")
        for stream in (one, dropped, added):
            for number in range(3):
                answer = fragile.client.post(
                    f"{url}/v1/streams/{stream}/comments",
                    json={"text": f"missed {number}"},
                    headers={"Authorization": f"Bearer {fragile.token('bob')}"},
                )
                assert answer.status_code == 202, answer.text
    fragile.edge.start()
    fragile.ready()
    for stream in (one, dropped, added):
        fragile.post(stream, "after")
    wait_for(
        page, "([one, added]) => [one, added].every((s) => window.seen.texts[s]?.at(-1) === 'after')", [one, added]
    )
    missed = [f"missed {number}" for number in range(3)]
    seen = page.evaluate("window.seen")
    assert seen["texts"] == {one: ["before", *missed, "after"], dropped: [], added: [*missed, "after"]}
    assert seen["recovered"] == [False, False, False, True, True]
    assert seen["sessions"][-1]["streams"] == sorted([one, added])
    assert seen["sessions"][-1]["id"] != session
