"""Many streams on one connection."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import pytest

from edge.composite import CompositeCursor
from livecomments.cursor import Cursor
from livecomments.errors import Reason
from tests.e2e.test_errors import refused
from tests.processes import eventually
from tests.session_viewers import SessionViewer
from tests.system import System
from tests.viewers import Viewer, follow, watch

pytestmark = pytest.mark.usefixtures("no_error_is_logged")


def watch_all(system: System, *streams: str, token: str = "", cursor: str = "", url: str = "") -> SessionViewer:
    """A session that has the snapshots of all its streams."""
    viewer = SessionViewer(url or system.url, streams, token=token, cursor=cursor)
    viewer.until(lambda v: (v.status and v.status != 200) or has_all(v), "the snapshots")
    return viewer


def has_all(viewer: Viewer) -> bool:
    assert isinstance(viewer, SessionViewer)
    return bool(viewer.events) and all(viewer.told(stream) for stream in viewer.streams)


def change(system: System, method: str, viewer: SessionViewer, stream: str, token: str = "") -> int:
    answer = system.request(method, f"/v1/sessions/{viewer.session}/streams/{stream}", token=token)
    return answer.status_code


# -- watching --


def test_a_session_tells_its_id_and_then_each_stream_from_its_snapshot_on(system: System) -> None:
    one, two = system.create_stream(title="One"), system.create_stream(title="Two")
    system.post(one, "before")
    with watch_all(system, one, two) as viewer:
        assert viewer.events[0].name == "session"
        assert viewer.events[0].data == {"session_id": viewer.session, "streams": sorted([one, two])}
        assert viewer.retry_ms is not None
        for stream, title in ((one, "One"), (two, "Two")):
            name, snapshot = viewer.told(stream)[0]
            assert (name, snapshot["stream"]["title"], snapshot["recovered"]) == ("snapshot", title, False)
        for number in range(3):
            system.post(one, f"one {number}")
            system.post(two, f"two {number}")
        viewer.until(lambda _: len(viewer.shown(one)) + len(viewer.shown(two)) == 7, "all comments")
        assert viewer.shown(one) == ["before", "one 0", "one 1", "one 2"]
        assert viewer.shown(two) == ["two 0", "two 1", "two 2"]


def test_a_session_is_told_what_a_single_feed_is(system: System) -> None:
    stream, beside = system.create_stream(), system.create_stream()
    host, path = system.token("host", role="host"), f"/v1/streams/{stream}"
    with system.watch(stream) as single, watch_all(system, stream, beside) as viewer:
        posted = system.post(stream, 'a "quoted" \u2028 text')
        system.request("PUT", f"{path}/pinned", {"comment_id": posted["comment_id"]}, token=host)
        system.request("DELETE", f"{path}/pinned", token=host)
        system.request("DELETE", f"{path}/comments/{posted['comment_id']}", token=host)
        system.request("PATCH", path, {"title": "New"}, token=host)
        system.end_stream(stream)
        watch([single, viewer], lambda: single.closed and beside_only(viewer), "the end")
        expected = [(event.name, event.data) for event in single.events if event.name not in ("viewers", "snapshot")]
        assert viewer.told(stream)[1:] == expected
        assert {"new_comment", "pinned_comment", "unpinned_comment", "delete_comment", "stream_ended"} <= {
            name for name, _ in expected
        }


def beside_only(viewer: SessionViewer) -> bool:
    return len(viewer.streams) == 1


def test_a_session_over_http2_is_told_and_changed_alike(system: System) -> None:
    one, two = system.create_stream(), system.create_stream()
    with (
        httpx.Client(http1=False, http2=True, trust_env=False, timeout=10) as client,
        client.stream("GET", f"{system.url}/v1/events?stream={one}") as response,
    ):
        assert response.http_version == "HTTP/2"
        parts, text = response.iter_text(), ""

        def read_until(wanted: str) -> str:
            nonlocal text
            while wanted not in text:
                text += next(parts)
            return text

        session = json.loads(read_until("event: snapshot").split("data: ")[1].split("\n")[0])["session_id"]
        assert system.edge.metric("livecomments_edge_ordinary_viewers") == 1
        assert system.request("PUT", f"/v1/sessions/{session}/streams/{two}").status_code == 204
        read_until(f'data: {{"stream_id":"{two}","data":{{"stream"')
        for stream in (one, two):
            system.post(stream, f"to {stream}")
            read_until(f'"text":"to {stream}"')
        system.end_stream(one)
        system.end_stream(two)
        text += "".join(parts)
        assert text.count("event: stream_ended") == 2
    eventually(lambda: system.edge.metric("livecomments_edge_sessions") == 0, "it has gone")


# -- adding and dropping --


def test_streams_are_added_and_dropped_while_it_is_open(system: System) -> None:
    one, two = system.create_stream(), system.create_stream()
    system.post(two, "before")
    with watch_all(system, one) as viewer:
        assert change(system, "PUT", viewer, two) == 204
        viewer.until(lambda _: viewer.shown(two) == ["before"], "the added stream's snapshot")
        assert viewer.streams == sorted([one, two])
        system.post(two, "live")
        viewer.until(lambda _: viewer.shown(two) == ["before", "live"], "its comments")
        assert change(system, "DELETE", viewer, two) == 204
        viewer.until(lambda _: viewer.streams == [one], "it is told that the stream is dropped")
        system.post(two, "unseen")
        system.post(one, "seen")
        viewer.until(lambda _: viewer.shown(one) == ["seen"], "the other stream goes on")
        assert viewer.shown(two) == ["before", "live"]


def test_adding_what_is_there_and_dropping_what_is_not_change_nothing(system: System) -> None:
    one, two = system.create_stream(), system.create_stream()
    with watch_all(system, one) as viewer:
        assert change(system, "PUT", viewer, one) == 204
        assert change(system, "DELETE", viewer, two) == 204
        system.post(one, "next")
        viewer.until(lambda _: viewer.shown(one) == ["next"], "the next comment")
        assert [event.name for event in viewer.events if event.name != "viewers"] == [
            "session", "snapshot", "new_comment",
        ]  # fmt: skip


def test_a_session_may_be_without_streams_for_a_while(system: System) -> None:
    one, two = system.create_stream(), system.create_stream()
    with watch_all(system, one) as viewer:
        assert change(system, "DELETE", viewer, one) == 204
        viewer.until(lambda _: viewer.streams == [], "it is empty")
        viewer.connect()
        viewer.until(lambda _: len([e for e in viewer.events if e.name == "session"]) == 3, "it comes back empty")
        assert viewer.streams == []
        assert change(system, "PUT", viewer, two) == 204
        viewer.until(lambda _: viewer.names(two) == ["snapshot"], "the added stream")


def test_many_changes_at_once_are_all_made(system: System) -> None:
    streams = [system.create_stream() for _ in range(12)]
    with watch_all(system, streams[0]) as viewer:
        changes = [("PUT", stream) for stream in streams[1:]] + [("PUT", streams[5]), ("DELETE", streams[0])]
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda way: change(system, way[0], viewer, way[1]), changes))
        assert answers == [204] * len(changes)
        viewer.until(lambda _: viewer.streams == sorted(streams[1:]) and has_all(viewer), "all changes")
        assert [viewer.names(stream) for stream in streams] == [["snapshot"]] * len(streams)


# -- coming back --


def test_a_session_that_was_cut_misses_nothing_and_keeps_what_was_added_and_dropped(system: System) -> None:
    one, two, three = (system.create_stream() for _ in range(3))
    with watch_all(system, one, two) as viewer:
        change(system, "PUT", viewer, three)
        change(system, "DELETE", viewer, two)
        for stream in (one, three):
            system.post(stream, "seen")
        viewer.until(lambda _: viewer.shown(one) == viewer.shown(three) == ["seen"], "both comments")
        first_id = viewer.session
        viewer.disconnect()
        for stream in (one, two, three):
            system.post(stream, "missed 1")
            system.post(stream, "missed 2")
        viewer.connect()
        viewer.until(lambda _: len(viewer.shown(one)) + len(viewer.shown(three)) == 6, "what was missed")
        assert viewer.shown(one) == viewer.shown(three) == ["seen", "missed 1", "missed 2"]
        assert viewer.shown(two) == []
        assert viewer.streams == sorted([one, three])
        assert [data["recovered"] for name, data in viewer.told(one) if name == "snapshot"] == [False, True]
        assert viewer.session != first_id
        refused(
            system.request("PUT", f"/v1/sessions/{first_id}/streams/{two}"),
            Reason.SESSION_NOT_FOUND,
        )


def test_a_session_resumes_at_every_id_that_it_was_told(system: System) -> None:
    one, two = system.create_stream(), system.create_stream()
    with watch_all(system, one, two) as whole:
        for number in range(4):
            system.post(one, f"one {number}")
            system.post(two, f"two {number}")
        whole.until(lambda _: len(whole.shown(one)) + len(whole.shown(two)) == 8, "all comments")
        for place, event in enumerate(whole.events):
            rest = {one: list[str](), two: list[str]()}
            for later in whole.events[place + 1 :]:
                if later.name == "new_comment":
                    rest[later.data["stream_id"]] += [comment["text"] for comment in later.data["data"]]
            places = CompositeCursor.parse(event.id).places
            for stream in rest:
                if places[stream] is None:
                    rest[stream] = whole.shown(stream)
            with SessionViewer(system.url, (), query=f"last_event_id={quote(event.id)}") as viewer:
                viewer.until(
                    lambda _, viewer=viewer, rest=rest: (
                        has_all(viewer)  # type: ignore[misc]
                        and all(len(viewer.shown(stream)) >= len(rest[stream]) for stream in rest)
                    ),
                    "what came after",
                )
                assert {stream: viewer.shown(stream) for stream in rest} == rest


def test_one_stream_that_can_not_be_resumed_begins_afresh_and_the_others_resume(system: System) -> None:
    one, two = system.create_stream(), system.create_stream()
    for stream in (one, two):
        system.post(stream, "before")
    with watch_all(system, one, two) as viewer:
        places = dict(CompositeCursor.parse(viewer.cursor).places)
        places[two] = Cursor("anotherlog", 7)
        with watch_all(system, cursor=str(CompositeCursor(places))) as back:
            assert back.told(one)[0][1]["recovered"] is True
            assert back.told(two)[0][1]["recovered"] is False
            assert (back.shown(one), back.shown(two)) == ([], ["before"])


# -- ends --


def test_a_stream_that_ends_leaves_the_session_and_with_the_last_the_session_ends(system: System) -> None:
    one, two = system.create_stream(), system.create_stream()
    with watch_all(system, one, two) as viewer:
        system.post(one, "last words")
        system.end_stream(one)
        viewer.until(lambda _: viewer.streams == [two], "the ended stream has left")
        assert viewer.names(one) == ["snapshot", "new_comment", "stream_ended"]
        system.post(two, "goes on")
        viewer.until(lambda _: viewer.shown(two) == ["goes on"], "the other goes on")
        system.end_stream(two)
        viewer.until(lambda v: v.closed, "the end")
        assert viewer.names(two)[-1] == "stream_ended"
        viewer.connect()
        viewer.until(lambda v: v.status, "the answer")
        assert viewer.status == 204


def test_what_ended_while_one_was_away_is_told_and_what_was_seen_to_its_end_stays_away(system: System) -> None:
    one, two, three = (system.create_stream() for _ in range(3))
    with watch_all(system, one, two, three) as viewer:
        seen = dict(CompositeCursor.parse(viewer.cursor).places)
        for stream in (one, two):
            system.end_stream(stream)
        viewer.until(lambda _: viewer.streams == [three], "both have ended")
        # As if it had been cut just behind the end of one.
        ends = {stream: e.id for e in viewer.events if e.name == "stream_ended" for stream in [e.data["stream_id"]]}
        seen[one] = CompositeCursor.parse(ends[one]).places[one]
        with watch_all(system, cursor=str(CompositeCursor(seen))) as back:
            back.until(lambda _: back.streams == [three] and back.told(two), "only one is left")
            assert back.names(one) == []
            assert back.names(two) == ["snapshot", "stream_ended"]
            assert back.names(three) == ["snapshot"]


def test_a_session_of_ended_streams_tells_them_and_ends(system: System) -> None:
    one, two = system.create_stream(), system.create_stream()
    for stream in (one, two):
        system.post(stream, "recorded")
        system.end_stream(stream)
    with SessionViewer(system.url, [one, two]) as viewer:
        viewer.until(lambda v: v.closed, "the end")
        assert viewer.status == 200
        for stream in (one, two):
            assert viewer.names(stream) == ["snapshot", "stream_ended"]
            assert viewer.shown(stream) == ["recorded"]
        viewer.connect()
        viewer.until(lambda v: v.status, "the answer")
        assert viewer.status == 204


# -- refusals --


def events(system: System, query: str, *, token: str = "", cursor: str = "") -> httpx.Response:
    headers = {"Last-Event-ID": cursor} if cursor else {}
    return system.request("GET", f"/v1/events{query}", token=token, headers=headers)


def test_what_can_not_be_opened_is_refused_as_a_whole_and_named(system: System) -> None:
    public, private = system.create_stream(), system.create_stream(visibility="private")
    names = "&".join(f"stream=s{number}" for number in range(51))
    for query in ("", "?stream=", "?stream=no%20space", "?" + names):
        refused(events(system, query), Reason.INVALID_FIELD, "stream")
    refused(events(system, f"?stream={public}&all=1"), Reason.INVALID_FIELD, "all")
    refused(events(system, f"?stream={public}&stream=nowhere"), Reason.STREAM_NOT_FOUND, "stream")
    assert "nowhere" in events(system, f"?stream={public}&stream=nowhere").json()["detail"]
    refused(events(system, f"?stream={public}&stream={private}"), Reason.UNAUTHENTICATED, "stream")
    eve = system.token("eve")
    refused(events(system, f"?stream={private}&stream={public}", token=eve), Reason.FORBIDDEN, "stream")
    refused(events(system, f"?stream={public}", token="x.y.z"), Reason.UNAUTHENTICATED)
    for cursor in ("nonsense", "ab-5", "~~", "b.a~"):
        refused(events(system, f"?stream={public}", cursor=cursor), Reason.BAD_CURSOR)
    refused(events(system, f"?stream={public}&last_event_id=ab-5"), Reason.BAD_CURSOR)
    too_many = str(CompositeCursor({f"s{number}": None for number in range(51)}))
    refused(events(system, "", cursor=too_many), Reason.INVALID_FIELD, "stream")
    refused(events(system, "", cursor=str(CompositeCursor({private: None}))), Reason.UNAUTHENTICATED, "stream")


def test_a_change_that_is_refused_changes_nothing(system: System) -> None:
    public, private = system.create_stream(), system.create_stream(visibility="private")
    with watch_all(system, public) as viewer:
        path = f"/v1/sessions/{viewer.session}/streams"
        refused(system.request("PUT", f"{path}/nowhere"), Reason.STREAM_NOT_FOUND)
        refused(system.request("PUT", f"{path}/no%20space"), Reason.INVALID_FIELD, "stream_id")
        refused(system.request("DELETE", f"{path}/no%20space"), Reason.INVALID_FIELD, "stream_id")
        # Who opened the session says what it may watch, not who changes it.
        for token in ("", system.token("ann", streams=(private,))):
            refused(system.request("PUT", f"{path}/{private}", token=token), Reason.UNAUTHENTICATED)
        for method in ("PUT", "DELETE"):
            refused(system.request(method, f"/v1/sessions/{'x' * 22}/streams/{public}"), Reason.SESSION_NOT_FOUND)
        system.post(public, "next")
        viewer.until(lambda _: viewer.shown(public) == ["next"], "the next comment")
        assert viewer.streams == [public]


def test_a_users_session_is_changed_by_nobody_else(system: System) -> None:
    one, private = system.create_stream(), system.create_stream(visibility="private")
    ann = system.token("ann", streams=(private,))
    with watch_all(system, one, token=ann) as viewer:
        path = f"/v1/sessions/{viewer.session}/streams"
        for method in ("PUT", "DELETE"):
            refused(system.request(method, f"{path}/{one}"), Reason.UNAUTHENTICATED)
            refused(system.request(method, f"{path}/{one}", token=system.token("eve")), Reason.FORBIDDEN)
        assert change(system, "PUT", viewer, private, token=system.token("ann")) == 204
        viewer.until(lambda _: viewer.names(private) == ["snapshot"], "the private stream")
        viewer.connect()
        viewer.until(lambda _: viewer.names(private) == ["snapshot"] * 2, "it comes back with it")


def test_a_session_takes_so_many_streams_and_no_more(system: System) -> None:
    streams = [system.create_stream() for _ in range(3)]
    with system.service("edge", "-two", edge_session_max_streams="2") as edge:
        eventually(lambda: system.client.get(f"http://{edge.address}/readyz").status_code == 200, "the edge is ready")
        with watch_all(system, *streams[:2], url=f"http://{edge.address}") as viewer:
            path = f"http://{edge.address}/v1/sessions/{viewer.session}/streams"
            refused(system.client.put(f"{path}/{streams[2]}"), Reason.INVALID_FIELD, "stream_id")
            assert system.client.delete(f"{path}/{streams[0]}").status_code == 204
            assert system.client.put(f"{path}/{streams[2]}").status_code == 204
            viewer.until(lambda _: viewer.streams == sorted(streams[1:]) and has_all(viewer), "the third stream")


# -- counting --


def test_a_session_counts_as_a_viewer_of_each_stream_until_it_has_gone(system: System) -> None:
    one, two = system.create_stream(), system.create_stream()

    def counted(viewer: Viewer) -> int:
        counts = [event.data["viewers"] for event in viewer.events if event.name in ("viewers", "snapshot")]
        return int(counts[-1])

    with system.watch(one) as of_one, system.watch(two) as of_two:
        with watch_all(system, one, two) as viewer:
            watch([of_one, of_two], lambda: counted(of_one) == counted(of_two) == 2, "it is counted twice")
            change(system, "DELETE", viewer, one)
            watch([of_one], lambda: counted(of_one) == 1, "it has left one")
            change(system, "PUT", viewer, one)
            watch([of_one], lambda: counted(of_one) == 2, "it is back")
        watch([of_one, of_two], lambda: counted(of_one) == counted(of_two) == 1, "it has gone")


# -- edges that go --


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system whose processes may be killed."""
    with System(tmp_path_factory.mktemp("fragile"), core_user_rate="0", edge_address_rate="0") as running:
        yield running


def test_a_session_outlives_its_edge(fragile: System) -> None:
    one, two, three = (fragile.create_stream() for _ in range(3))
    with watch_all(fragile, one, two) as viewer:
        change(fragile, "PUT", viewer, three)
        for stream in (one, two, three):
            fragile.post(stream, "before")
        viewer.until(lambda _: all(len(viewer.shown(s)) == 1 for s in (one, two, three)), "the first comments")
        with fragile.service("edge", "-2") as other:
            fragile.edge.kill()
            viewer.until(lambda v: v.closed, "it is cut")
            url = f"http://{other.address}"
            eventually(lambda: fragile.client.get(f"{url}/readyz").status_code == 200, "the other edge is ready")
            for number in range(5):
                for stream in (one, two, three):
                    answer = fragile.client.post(
                        f"{url}/v1/streams/{stream}/comments",
                        json={"text": f"missed {number}"},
                        headers={"Authorization": f"Bearer {fragile.token('bob')}"},
                    )
                    assert answer.status_code == 202, answer.text
            fragile.edge.start()
            fragile.ready()
        for stream in (one, two, three):
            fragile.post(stream, "after")
        expected = ["before", *(f"missed {number}" for number in range(5)), "after"]
        follow([viewer], lambda: all(len(viewer.shown(s)) >= len(expected) for s in (one, two, three)), "all of it")
        for stream in (one, two, three):
            assert viewer.shown(stream) == expected
        assert viewer.streams == sorted([one, two, three])


def test_a_drained_session_is_told_when_to_come_back_and_misses_nothing(fragile: System) -> None:
    one, two, empty = (fragile.create_stream() for _ in range(3))
    with fragile.service("edge", "-3") as leaving:
        url = f"http://{leaving.address}"
        eventually(lambda: fragile.client.get(f"{url}/readyz").status_code == 200, "the edge is ready")
        with watch_all(fragile, one, two, url=url) as viewer, watch_all(fragile, empty, url=url) as idle:
            assert fragile.client.delete(f"{url}/v1/sessions/{idle.session}/streams/{empty}").status_code == 204
            idle.until(lambda _: idle.streams == [], "it has no streams")
            fragile.post(one, "before")
            viewer.until(lambda _: viewer.shown(one) == ["before"], "the comment")
            retries = viewer.retry_ms, idle.retry_ms
            viewer.retry_ms = idle.retry_ms = None
            leaving.signal(signal.SIGTERM)
            watch([viewer, idle], lambda: viewer.closed and idle.closed, "both are dismissed")
            assert None not in (*retries, viewer.retry_ms, idle.retry_ms)
            fragile.post(one, "missed")
            fragile.post(two, "missed")
            viewer.host = fragile.edge.address
            viewer.connect()
            viewer.until(lambda _: viewer.shown(one) + viewer.shown(two) == ["before", "missed", "missed"], "all of it")
        leaving.stop()


def test_no_session_is_left_behind(fragile: System) -> None:
    streams = [fragile.create_stream() for _ in range(3)]
    before = fragile.edge.metric("livecomments_edge_sessions")
    viewers = [watch_all(fragile, *streams) for _ in range(20)]
    assert fragile.edge.metric("livecomments_edge_sessions") == before + 20
    for viewer in viewers:
        viewer.disconnect()
    eventually(lambda: fragile.edge.metric("livecomments_edge_sessions") == before, "all have gone")
    eventually(lambda: fragile.edge.metric("livecomments_edge_connections") == 0, "their connections, too")
