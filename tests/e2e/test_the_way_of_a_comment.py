"""A comment is posted, is on every screen, and comes back in the replay: against the whole system."""

import json
import re
from datetime import datetime

import httpx

from edge.routes.grpc_web import UNARY
from tests.processes import eventually
from tests.system import System
from tests.viewers import Viewer, watch


def test_a_comment_appears_on_every_screen_and_in_the_replay(system: System) -> None:
    stream = system.create_stream()
    with system.watch(stream) as one, system.watch(stream) as two:
        posted = system.post(stream, "What a goal!", user="ann")
        watch([one, two], lambda: one.ids() and two.ids(), "both see it")
        assert one.ids() == two.ids() == [posted["comment_id"]]
        shown = one.comments()[0]
    assert shown == {
        "comment_id": posted["comment_id"],
        "author_id": "ann",
        "author_name": "ann",
        "text": "What a goal!",
        "posted_at": posted["posted_at"],
        "offset_ms": posted["offset_ms"],
    }
    stored = system.stored(stream, lambda comments: len(comments) == 1)
    assert stored == [shown]
    recent = system.request("GET", f"/v1/streams/{stream}/comments/recent").json()
    assert recent["comments"] == [shown]


def test_the_answer_to_a_post_says_where_the_comment_stands(system: System) -> None:
    stream = system.create_stream()
    started = datetime.fromisoformat(system.request("GET", f"/v1/streams/{stream}").json()["started_at"])
    posted = system.post(stream, "hi")
    at = datetime.fromisoformat(posted["posted_at"])
    assert round((at - started).total_seconds() * 1000) == posted["offset_ms"]
    assert int(posted["comment_id"].replace("-", "")[:12], 16) == round(at.timestamp() * 1000)
    with system.watch(stream, cursor=posted["cursor"]) as viewer:
        assert viewer.events[0].data["recovered"] is True
        assert viewer.ids() == []


def test_lag_and_meta_come_back_as_they_were_posted(system: System) -> None:
    stream = system.create_stream()
    system.post(stream, "late", lag_ms=12_000, meta={"color": "red", "n": [1, 2]})
    (comment,) = system.stored(stream, lambda comments: comments)
    assert comment["lag_ms"] == 12_000
    assert comment["meta"] == {"color": "red", "n": [1, 2]}


def test_a_subscribe_begins_with_a_retry_and_a_snapshot(system: System) -> None:
    stream = system.create_stream(title="The final")
    for number in range(3):
        system.post(stream, f"c{number}")
    with system.watch(stream) as viewer:
        assert viewer.headers["content-type"] == "text/event-stream"
        assert viewer.headers["cache-control"] == "no-cache"
        assert viewer.headers["x-accel-buffering"] == "no"
        assert viewer.retry_ms is not None
        first = viewer.events[0]
        assert first.name == "snapshot"
        assert first.data["stream"]["title"] == "The final"
        assert [comment["text"] for comment in first.data["comments"]] == ["c0", "c1", "c2"]
        assert (first.data["recovered"], first.data["degraded"]) == (False, False)
        assert re.fullmatch(r"[a-z0-9]+-\d+", first.id)


def test_a_snapshot_holds_the_last_hundred(system: System) -> None:
    stream = system.create_stream()
    for number in range(105):
        system.post(stream, f"c{number}")
    with system.watch(stream) as viewer:
        assert viewer.texts() == [f"c{number}" for number in range(5, 105)]


def test_a_viewer_that_reconnects_sees_what_it_missed_once(system: System) -> None:
    stream = system.create_stream()
    with system.watch(stream) as viewer:
        system.post(stream, "before")
        viewer.until(lambda v: v.texts() == ["before"], "the first comment")
        viewer.disconnect()
        for number in range(5):
            system.post(stream, f"missed {number}")
        viewer.connect()
        viewer.until(lambda v: len(v.texts()) == 6, "what was missed")
        recovered = [event.data["recovered"] for event in viewer.events if event.name == "snapshot"]
        assert recovered == [False, True]
        system.post(stream, "after")
        viewer.until(lambda v: len(v.texts()) == 7, "what comes after")
        assert viewer.texts() == ["before", *(f"missed {number}" for number in range(5)), "after"]


def test_the_cursor_may_stand_in_the_query_and_the_header_wins(system: System) -> None:
    stream = system.create_stream()
    first, second = system.post(stream, "one"), system.post(stream, "two")
    with system.watch(stream, query=f"?last_event_id={first['cursor']}") as viewer:
        viewer.until(lambda v: v.texts() == ["two"], "what came after the cursor")
    with system.watch(stream, cursor=second["cursor"], query=f"?last_event_id={first['cursor']}") as viewer:
        system.post(stream, "three")
        viewer.until(lambda v: v.texts(), "the next comment")
        assert viewer.texts() == ["three"]


def test_recent_and_subscribe_meet_without_a_gap(system: System) -> None:
    stream = system.create_stream()
    for number in range(20):
        system.post(stream, f"c{number}")
    page = system.request("GET", f"/v1/streams/{stream}/comments/recent?limit=5").json()
    with system.watch(stream, cursor=page["cursor"]) as viewer:
        system.post(stream, "last")
        viewer.until(lambda v: "last" in v.texts(), "the last comment")
        assert [c["text"] for c in page["comments"]] + viewer.texts() == [c["text"] for c in page["comments"]] + [
            f"c{number}" for number in range(int(page["comments"][-1]["text"][1:]) + 1, 20)
        ] + ["last"]


def test_recent_pages_go_back_to_the_first_comment(system: System) -> None:
    stream = system.create_stream()
    for number in range(7):
        system.post(stream, f"c{number}")
    system.stored(stream, lambda comments: len(comments) == 7)
    texts: list[str] = []
    query = "?limit=3"
    while True:
        page = system.request("GET", f"/v1/streams/{stream}/comments/recent{query}").json()
        texts = [comment["text"] for comment in page["comments"]] + texts
        if "oldest_cursor" not in page:
            break
        query = f"?limit=3&cursor={page['oldest_cursor']}"
    assert texts == [f"c{number}" for number in range(7)]


def test_a_deleted_comment_is_gone_from_every_screen_and_every_read(system: System) -> None:
    stream = system.create_stream()
    keep, drop = system.post(stream, "keep"), system.post(stream, "drop", user="bob")
    path = f"/v1/streams/{stream}/comments/{drop['comment_id']}"
    with system.watch(stream) as viewer:
        assert system.request("DELETE", path, token=system.token("eve")).status_code == 403
        assert system.request("DELETE", path, token=system.token("bob")).status_code == 204
        viewer.until(lambda v: v.events[-1].name == "delete_comment", "the deletion is told")
        assert viewer.events[-1].data == {"comment_id": drop["comment_id"]}
    with system.watch(stream) as late:
        assert late.ids() == [keep["comment_id"]]
    stored = system.stored(stream, lambda comments: [c["comment_id"] for c in comments] == [keep["comment_id"]])
    assert len(stored) == 1


def test_a_pin_is_told_and_stands_in_the_snapshot_until_it_is_taken_away(system: System) -> None:
    stream = system.create_stream()
    posted = system.post(stream, "read this")
    host = system.token("host", role="host")
    path = f"/v1/streams/{stream}/pinned"
    with system.watch(stream) as viewer:
        body = {"comment_id": posted["comment_id"]}
        assert system.request("PUT", path, body, token=system.token("ann")).status_code == 403
        answer = system.request("PUT", path, body, token=host)
        assert answer.status_code == 200
        assert answer.json()["comment"]["text"] == "read this"
        viewer.until(lambda v: v.events[-1].name == "pinned_comment", "the pin is told")
        with system.watch(stream) as late:
            assert late.events[0].data["stream"]["pinned"]["comment_id"] == posted["comment_id"]
        assert system.request("DELETE", path, token=host).status_code == 204
        viewer.until(lambda v: v.events[-1].name == "unpinned_comment", "the end of the pin is told")
    assert "pinned" not in system.request("GET", f"/v1/streams/{stream}").json()


def test_the_end_of_a_stream_is_told_and_nothing_comes_behind_it(system: System) -> None:
    stream = system.create_stream()
    with system.watch(stream) as viewer:
        posted = system.post(stream, "one")
        system.end_stream(stream)
        viewer.until(lambda v: v.closed, "the feed is closed")
        assert [event.name for event in viewer.events if event.name != "viewers"] == [
            "snapshot", "new_comment", "stream_ended",
        ]  # fmt: skip
        assert system.try_post(stream, "too late").json()["reason"] == "STREAM_ENDED"
        viewer.connect()
        viewer.until(lambda v: v.status, "an answer")
        assert viewer.status == 204, "which stops an EventSource"
    with Viewer(system.url, stream, cursor=posted["cursor"]) as late:
        late.until(lambda v: v.closed, "the feed of an ended stream is closed")
        assert [event.name for event in late.events] == ["snapshot", "stream_ended"]
        assert late.events[0].data["recovered"] is True
    with Viewer(system.url, stream) as latest:
        latest.until(lambda v: v.closed, "the feed of an ended stream is closed")
        assert latest.texts() == ["one"]
        assert latest.events[-1].name == "stream_ended"


def test_the_replay_of_an_ended_stream_is_complete_and_may_be_cached_until_a_comment_is_deleted(system: System) -> None:
    stream = system.create_stream()
    posted = system.post(stream, "one")
    path = f"/v1/streams/{stream}/comments?start_time=0&duration=60"
    live = system.request("GET", path)
    assert live.headers["cache-control"] == "no-store"
    assert live.json()["complete"] is False
    system.end_stream(stream)
    answer = eventually(lambda: _complete(system.request("GET", path)), "the replay is complete")
    assert answer.headers["cache-control"] == "public, max-age=30"
    etag = answer.headers["etag"]
    another = system.create_stream()
    system.post(another, "elsewhere")
    system.stored(another, lambda comments: len(comments) == 1)
    assert system.request("GET", path).json()["through_cursor"] != answer.json()["through_cursor"]
    for named in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
        again = system.request("GET", path, headers={"If-None-Match": named})
        assert (again.status_code, again.content) == (304, b""), "what is written elsewhere changes nothing"
        kept = ("etag", "cache-control", "content-type")
        assert [again.headers[name] for name in kept] == [answer.headers[name] for name in kept]
    assert system.request("GET", path, headers={"If-None-Match": '"x"'}).status_code == 200
    host_token = system.token("host", role="host")
    assert system.request("GET", path, token=host_token).headers["cache-control"] == "no-store"
    host = system.token("host", role="host")
    deleted = system.request("DELETE", f"/v1/streams/{stream}/comments/{posted['comment_id']}", token=host)
    assert deleted.status_code == 204
    changed = eventually(
        lambda: _is_200(system.request("GET", path, headers={"If-None-Match": etag})), "the ETag changes"
    )
    assert changed.json()["comments"] == []


def _complete(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.json()["complete"] else None


def _is_200(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.status_code == 200 else None


def test_viewers_are_counted(system: System) -> None:
    stream = system.create_stream()
    with system.watch(stream) as one, system.watch(stream) as two:
        watch(
            [one, two],
            lambda: any(e.name == "viewers" and e.data["viewers"] == 2 for e in one.events),
            "the count reaches two",
        )
        found = eventually(
            lambda: system.request("GET", f"/v1/streams/{stream}").json()["viewers"] == 2, "core knows it, too"
        )
        assert found


def test_a_stream_can_be_changed_and_viewers_are_told(system: System) -> None:
    stream = system.create_stream()
    host = system.token("host", role="host")
    with system.watch(stream) as viewer:
        answer = system.request("PATCH", f"/v1/streams/{stream}", {"title": "New", "slow_mode_s": 5}, token=host)
        assert answer.status_code == 200, answer.text
        viewer.until(lambda v: any(e.name == "stream_updated" for e in v.events), "the change is told")
        told = next(event for event in viewer.events if event.name == "stream_updated")
        assert (told.data["stream"]["title"], told.data["stream"]["slow_mode_s"]) == ("New", 5)


def test_streams_are_listed_newest_first_page_by_page(system: System) -> None:
    made = [system.create_stream() for _ in range(3)]
    listed: list[str] = []
    token = ""
    while True:
        page = system.request("GET", f"/v1/streams?limit=2&state=live&pagination_token={token}").json()
        listed += [stream["stream_id"] for stream in page["streams"]]
        token = page.get("next_pagination_token", "")
        if not token:
            break
    assert [stream for stream in listed if stream in made] == made[::-1]
    assert len(listed) == len(set(listed))


def test_the_pages_the_description_and_health_are_there(system: System) -> None:
    for path in ("/", "/watch/demo", "/replay/demo"):
        page = system.request("GET", path)
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
    described = system.request("GET", "/openapi.json").json()
    assert described["openapi"] == "3.1.0"
    assert {f"/livecomments.v1.{name}" for name in UNARY} <= described["paths"].keys()
    assert system.request("GET", "/livez").text == "ok\n"
    assert system.request("GET", "/readyz").text == "ready\n"


def test_metrics_stand_on_a_port_of_their_own(system: System) -> None:
    stream = system.create_stream()
    with system.watch(stream) as viewer:
        system.post(stream, "one")
        viewer.until(lambda v: v.texts(), "the comment")
        for service, names in {
            system.edge: ["edge_connections", "edge_deliveries_total", "edge_post_seconds", "edge_feed_lag_seconds"],
            system.core: ["core_batch_comments"],
            system.fanout: ["fanout_feed_lag_seconds"],
            system.storage: ["storage_"],
        }.items():
            text = system.client.get(f"http://{service.metrics}/metrics").text
            for name in names:
                assert f"livecomments_{name}" in text, (service.name, name)
    assert system.request("GET", "/metrics").status_code == 404


def test_only_allowed_origins_may_call(system: System) -> None:
    with system.service("edge", "-cors", edge_cors_origins="https://a.example, https://b.example") as edge:
        url = f"http://{edge.address}"
        ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        allowed = system.client.options(f"{url}/v1/streams/x/comments", headers={"Origin": "https://a.example", **ask})
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == "https://a.example"
        assert "authorization" in allowed.headers["access-control-allow-headers"]
        assert "idempotency-key" in allowed.headers["access-control-allow-headers"]
        denied = system.client.options(
            f"{url}/v1/streams/x/comments", headers={"Origin": "https://evil.example", **ask}
        )
        assert "access-control-allow-origin" not in denied.headers
        plain = system.client.get(f"{url}/livez", headers={"Origin": "https://b.example"})
        assert plain.headers["access-control-allow-origin"] == "https://b.example"
        assert "retry-after" in plain.headers["access-control-expose-headers"]


def test_json_written_by_us_is_json(system: System) -> None:
    stream = system.create_stream()
    text = 'quotes " \\ <b>&amp; \u2028 \U0001f3c6 عربى'
    system.post(stream, text)
    assert system.stored(stream, lambda comments: comments)[0]["text"] == text
    json.loads(system.request("GET", f"/v1/streams/{stream}").text)
