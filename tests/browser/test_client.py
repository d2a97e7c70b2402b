"""The JavaScript client in Chromium, against a system whose edge goes away and comes back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.clients import connected, forgive_lost_sockets, open_page, silence, wait_for, wait_for_texts
from tests.browser.conftest import Visitors
from tests.processes import Service, eventually
from tests.proxies import BufferingNginx
from tests.system import System


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system whose first edge may be killed."""
    folder = tmp_path_factory.mktemp("fragile")
    with System(folder, core_user_rate="0", edge_address_rate="0", edge_cors_origins="*") as running:
        yield running


@pytest.fixture(scope="module")
def other(fragile: System) -> Iterator[Service]:
    """Another edge, which takes posts while the first is away."""
    with fragile.service("edge", "-2") as other:
        eventually(lambda: fragile.client.get(f"http://{other.address}/readyz").status_code == 200, "it is ready")
        yield other


def post_elsewhere(system: System, edge: Service, stream_id: str, text: str, token: str) -> None:
    url = f"http://{edge.address}/v1/streams/{stream_id}/comments"
    answer = system.client.post(url, json={"text": text}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 202, answer.text


MISSED = [f"missed {number}" for number in range(5)]


@pytest.mark.parametrize("way", ["sse", "websocket", "poll"])
def test_over_each_way_nothing_is_missed_or_doubled_while_the_edge_is_away(
    fragile: System, other: Service, visitors: Visitors, way: str
) -> None:
    stream_id = fragile.create_stream(visibility="private")
    reader = fragile.token("ann", name="Ann", streams=(stream_id,))
    fragile.post(stream_id, "before", token=reader)
    page = connected(visitors, fragile.url, stream_id, transport=way, token=reader)
    fragile.post(stream_id, "live", token=reader)
    wait_for_texts(page, ["before", "live"])
    fragile.edge.kill()
    wait_for(page, "live.state === 'reconnecting'")
    for text in MISSED:
        post_elsewhere(fragile, other, stream_id, text, reader)
    page.evaluate("() => { window.posted = live.post('written while away'); }")
    wait_for(page, "live.comments.at(-1).state === 'sending'")
    fragile.edge.start()
    fragile.ready()
    expected = ["before", "live", *MISSED, "written while away"]
    wait_for_texts(page, expected)
    fragile.post(stream_id, "after", token=reader)
    wait_for_texts(page, [*expected, "after"])
    assert page.evaluate("[live.transport, seen.gaps, seen.states.at(-1)]") == [way, 0, "live"]
    page.evaluate("live.close()")
    assert page.evaluate("live.state") == "closed"
    forgive_lost_sockets(visitors)


def test_a_native_event_source_misses_nothing_either(fragile: System, other: Service, visitors: Visitors) -> None:
    stream_id = fragile.create_stream()
    fragile.post(stream_id, "before")
    page = open_page(visitors, fragile.url)
    page.evaluate(
        """(stream) => {
          window.texts = [];
          const source = new EventSource(`/v1/streams/${stream}/comments/subscribe`);
          const take = (comments) => window.texts.push(...comments.map(({ text }) => text));
          source.addEventListener("snapshot", ({ data }) => take(JSON.parse(data).comments));
          source.addEventListener("new_comment", ({ data }) => take(JSON.parse(data)));
        }""",
        stream_id,
    )
    wait_for(page, "texts.length === 1")
    fragile.edge.kill()
    for text in MISSED:
        post_elsewhere(fragile, other, stream_id, text, fragile.token("bob"))
    fragile.edge.start()
    fragile.ready()
    fragile.post(stream_id, "after")
    wait_for(page, "texts.includes('after')")
    assert page.evaluate("texts") == ["before", *MISSED, "after"]


def test_behind_a_proxy_that_buffers_it_falls_back_to_long_poll(
    fragile: System, visitors: Visitors, tmp_path: Path
) -> None:
    stream_id = fragile.create_stream()
    fragile.post(stream_id, "before")
    with BufferingNginx("nginx", tmp_path, fragile.edge.address) as proxy:
        page = connected(visitors, proxy.url, stream_id, token=fragile.token("ann"), firstMs=1_500)
        assert page.evaluate("live.transport") == "poll"
        fragile.post(stream_id, "live")
        wait_for_texts(page, ["before", "live"])
        page.evaluate("live.post('mine')")
        wait_for_texts(page, ["before", "live", "mine"])
        page.evaluate("live.close()")
    forgive_lost_sockets(visitors)


def test_a_token_that_ends_is_renewed_and_a_page_of_another_origin_is_served(
    fragile: System, visitors: Visitors
) -> None:
    stream_id = fragile.create_stream(visibility="private")
    page = open_page(visitors, fragile.url)
    elsewhere = fragile.url.replace("127.0.0.1", "localhost")
    given = [
        stream_id,
        elsewhere,
        fragile.token("ann", streams=(stream_id,), ttl_s=20),
        fragile.token("ann", streams=(stream_id,)),
    ]
    page.evaluate(
        """async ([stream, url, ending, fresh]) => {
          const { connect } = await import("/static/client/index.js");
          window.asked = [];
          window.live = connect({ stream, url, token: ending, renewToken: async (old) => (asked.push(old), fresh) });
          window.refused = connect({ stream, url });
        }""",
        given,
    )
    wait_for(page, "live.state === 'live' && refused.state === 'refused'")
    assert page.evaluate("live.post('with a new token').then(({ cursor }) => cursor === live.cursor || cursor)")
    assert page.evaluate("asked") == [given[2]]
    assert page.evaluate("[refused.problem.status, refused.problem.reason]") == [401, "UNAUTHENTICATED"]
    page.evaluate("Promise.all([live.close(), refused.close()])")


def test_a_hidden_tab_lets_go_of_its_connection_and_catches_up(fragile: System, visitors: Visitors) -> None:
    stream_id = fragile.create_stream()
    page = connected(visitors, fragile.url, stream_id, hiddenMs=100)
    eventually(lambda: fragile.edge.metric("livecomments_edge_connections") == 1, "it is connected")
    turn = """(hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(turn, True)
    wait_for(page, "live.state === 'paused'")
    eventually(lambda: fragile.edge.metric("livecomments_edge_connections") == 0, "the edge has it no more")
    for text in MISSED:
        fragile.post(stream_id, text)
    page.evaluate(turn, False)
    wait_for_texts(page, MISSED)
    assert page.evaluate("[seen.gaps, seen.states]") == [0, ["live", "paused", "reconnecting", "live"]]
    page.evaluate("live.close()")


REPLAY = """async (stream) => {
  const { Replay, shownAtMs } = await import("/static/client/index.js");
  const player = Object.assign(document.querySelector("audio"), { muted: true, playbackRate: 0.25 });
  window.player = player;
  window.shown = [];
  window.replay = new Replay({ stream, video: player });
  replay.on("clear", () => shown.splice(0));
  replay.on("show", ({ comments }) => {
    for (const comment of comments) shown.push([comment.text, player.currentTime * 1000 - shownAtMs(comment)]);
  });
}"""


def test_beside_a_player_each_comment_appears_at_its_moment(fragile: System, visitors: Visitors) -> None:
    stream_id = fragile.create_stream()
    fragile.post(stream_id, "start")
    due = time.monotonic() + 1
    eventually(lambda: time.monotonic() > due, "a second has passed")
    late = fragile.post(stream_id, "late")
    # About half a second of the recording.
    fragile.post(stream_id, "early", lag_ms=late["offset_ms"] - 500)
    fragile.end_stream(stream_id)
    fragile.stored(stream_id, lambda comments: len(comments) == 3)
    page = open_page(visitors, fragile.url, f'<!doctype html><audio src="{silence(10)}"></audio>')
    page.evaluate(REPLAY, stream_id)
    wait_for(page, "replay.state === 'paused' && player.readyState >= 3")
    page.evaluate("player.play()")
    wait_for(page, "shown.length === 3")
    shown = page.evaluate("shown")
    assert [text for text, _ in shown] == ["start", "early", "late"]
    # At a quarter of the speed, 250 ms of the recording are a second: a machine may be that busy.
    assert all(-1 <= off <= 250 for _, off in shown), shown
    page.evaluate("player.pause()")
    page.evaluate("player.currentTime = 0.7")
    wait_for(page, "shown.length === 2 && replay.state === 'paused'")
    assert [text for text, _ in page.evaluate("shown")] == ["start", "early"]
    page.evaluate("Object.assign(player, { playbackRate: 4 }).play()")
    wait_for(page, "shown.length === 3")
    page.evaluate("replay.close()")
