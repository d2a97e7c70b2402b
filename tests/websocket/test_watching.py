"""The feed over a WebSocket: the same events as over SSE, by every way in."""

import re
import signal
from urllib.parse import urlsplit

import pytest
from wsproto.events import Ping

from livecomments.errors import Reason
from tests.http2 import Http2SocketViewer
from tests.sockets import SocketViewer
from tests.system import System, ready
from tests.viewers import Viewer, from_the_log, watch
from tests.websocket.viewers import frame, open_socket, refused

pytestmark = pytest.mark.usefixtures("no_error_is_logged")


def test_a_viewer_watches_and_posts_on_one_connection(system: System, reused: bool) -> None:
    stream = system.create_stream(title="The final")
    system.post(stream, "before")
    with open_socket(system, stream, token=system.token("ann"), reused=reused) as viewer, system.watch(stream) as other:
        first = viewer.events[0]
        assert first.name == "snapshot"
        assert first.data["stream"]["title"] == "The final"
        assert first.data["recovered"] is False
        assert viewer.texts() == ["before"]
        posted = viewer.post("What a goal!", "r1", lag_ms=5, meta={"a": 1})
        assert posted.keys() == {"request_id", "comment_id", "posted_at", "offset_ms", "cursor"}
        watch([viewer, other], lambda: len(viewer.ids()) == len(other.ids()) == 2, "both see it")
        assert viewer.comments() == other.comments()
        shown = viewer.comments()[1]
        assert (shown["comment_id"], shown["lag_ms"], shown["meta"]) == (posted["comment_id"], 5, {"a": 1})
        assert viewer.cursor == other.cursor == posted["cursor"]


def test_every_event_is_the_same_as_over_sse(system: System, reused: bool) -> None:
    stream = system.create_stream()
    host = system.token("host", role="host")
    path = f"/v1/streams/{stream}"
    with open_socket(system, stream, reused=reused) as viewer, system.watch(stream) as other:
        one, two = system.post(stream, "one"), system.post(stream, 'two \U0001f3c6 \u2028 " \\')
        system.request("PUT", f"{path}/pinned", {"comment_id": one["comment_id"]}, token=host)
        system.request("DELETE", f"{path}/comments/{two['comment_id']}", token=host)
        system.request("DELETE", f"{path}/pinned", token=host)
        system.request("PATCH", path, {"title": "New"}, token=host)
        system.end_stream(stream)
        watch([viewer, other], lambda: viewer.closed and other.closed, "the end")
        assert from_the_log(viewer) == from_the_log(other)
        names = {event.name for event in viewer.events}
        assert names >= {
            "new_comment", "pinned_comment", "delete_comment", "unpinned_comment", "stream_updated", "stream_ended",
        }  # fmt: skip
        assert viewer.close == (1000, "the stream has ended")


def test_a_viewer_resumes_at_every_cursor(system: System, reused: bool) -> None:
    stream = system.create_stream()
    host = system.token("host", role="host")
    with open_socket(system, stream) as whole:
        for number in range(6):
            posted = system.post(stream, f"c{number}")
            if number % 2:
                path = f"/v1/streams/{stream}/comments/{posted['comment_id']}"
                assert system.request("DELETE", path, token=host).status_code == 204
        whole.until(lambda v: sum(event.name == "delete_comment" for event in v.events) == 3, "all of it")
        events = from_the_log(whole)
        assert len(events) > 6
        for place, seen in enumerate(events):
            with open_socket(system, stream, cursor=seen.id, reused=reused) as viewer:
                rest = events[place + 1 :]
                viewer.until(lambda v, rest=rest: len(from_the_log(v)) == len(rest), "what was missed")  # type: ignore[misc]
                assert viewer.events[0].data["recovered"] is True
                assert viewer.events[0].id == seen.id
                # Windows may be cut elsewhere, their contents are the same.
                assert viewer.texts() == [c["text"] for e in rest if e.name == "new_comment" for c in e.data]
                assert viewer.cursor == events[-1].id


def test_a_viewer_that_was_cut_comes_back_with_its_last_id(system: System) -> None:
    stream = system.create_stream()
    with open_socket(system, stream) as viewer:
        system.post(stream, "before")
        viewer.until(lambda v: v.texts() == ["before"], "the first comment")
        viewer.disconnect()
        for number in range(5):
            system.post(stream, f"missed {number}")
        viewer.connect()
        viewer.until(lambda v: len(v.texts()) == 6, "what was missed")
        system.post(stream, "after")
        viewer.until(lambda v: len(v.texts()) == 7, "what comes after")
        assert viewer.texts() == ["before", *(f"missed {number}" for number in range(5)), "after"]


def test_a_cursor_of_another_log_brings_a_fresh_snapshot(system: System, reused: bool) -> None:
    stream = system.create_stream()
    system.post(stream, "one")
    with open_socket(system, stream, cursor="elsewhere-7", reused=reused) as viewer:
        assert viewer.events[0].data["recovered"] is False
        assert viewer.texts() == ["one"]


def test_a_stream_that_has_ended_is_shown_and_closed(system: System, reused: bool) -> None:
    stream = system.create_stream()
    posted = system.post(stream, "one")
    system.end_stream(stream)
    with open_socket(system, stream, reused=reused) as viewer:
        viewer.until(lambda v: v.closed, "the close")
        assert viewer.texts() == ["one"]
        assert viewer.events[-1].name == "stream_ended"
        assert viewer.close == (1000, "the stream has ended")
    with open_socket(system, stream, cursor=posted["cursor"], reused=reused) as viewer:
        viewer.until(lambda v: v.closed, "the close")
        assert [event.name for event in viewer.events] == ["snapshot", "stream_ended"]
        assert viewer.close == (1000, "the stream has ended")
        final = viewer.cursor
    with SocketViewer(system.url, stream, cursor=final, reused=reused) as viewer:
        viewer.until(lambda v: v.closed, "the close")
        assert (viewer.events, viewer.close) == ([], (1000, "the stream has ended"))


def test_a_cursor_that_nobody_has_given_brings_a_fresh_snapshot_and_what_comes(system: System) -> None:
    stream = system.create_stream()
    first = system.post(stream, "one")
    epoch, seq = first["cursor"].split("-")
    with open_socket(system, stream, cursor=f"{epoch}-{int(seq) + 1_000_000}", token=system.token("ann")) as viewer:
        assert viewer.events[0].data["recovered"] is False
        viewer.post("two", "r1")
        viewer.until(lambda v: v.texts() == ["one", "two"], "its own comment")
        viewer.send_raw(frame(0x83, b""))
        viewer.until(lambda v: v.closed, "the close")
        assert viewer.close == (1002, "opcode 0x3 is not known")


def test_two_hundred_viewers_of_both_kinds_see_the_same_order(system: System) -> None:
    stream = system.create_stream()
    token = system.token("ann")
    viewers: list[Viewer] = []
    try:
        for number in range(200):
            if number % 2:
                viewers.append(SocketViewer(system.url, stream, token=token, reused=number % 8 == 1))
            else:
                viewers.append(Viewer(system.url, stream))
        watch(viewers, lambda: all(viewer.events for viewer in viewers), "everyone is in")
        speakers = [viewer for viewer in viewers if isinstance(viewer, SocketViewer)][:20]
        for turn in range(5):
            for at, speaker in enumerate(speakers):
                speaker.say({"post": {"request_id": f"{turn}.{at}", "text": f"{turn}.{at}"}})
                if at % 5 == 0:
                    system.post(stream, f"{turn}.http.{at}", user="bob")
        count = 5 * (20 + 4)
        watch(viewers, lambda: all(len(viewer.ids()) >= count for viewer in viewers), "everyone has all")
        order = viewers[0].ids()
        assert len(order) == len(set(order)) == count
        assert all(viewer.ids() == order for viewer in viewers)
        watch(speakers, lambda: all(len(speaker.replies) == 5 for speaker in speakers), "everyone is answered")
        answered = {data["comment_id"] for speaker in speakers for name, data in speaker.replies if name == "posted"}
        assert len(answered) == 100
        assert answered < set(order)
    finally:
        for viewer in viewers:
            viewer.disconnect()


def test_over_http_2_it_is_the_same(system: System) -> None:
    stream = system.create_stream()
    system.post(stream, "before")
    with (
        Http2SocketViewer(system.url, stream, token=system.token("ann")) as viewer,
        open_socket(system, stream) as other,
    ):
        viewer.until(lambda v: v.events, "the snapshot")
        assert "sec-websocket-extensions" not in viewer.headers
        posted = viewer.post("one", "r1")
        viewer.say({"post": {"request_id": "r2", "text": ""}})
        assert viewer.answer("r2", "error")["reason"] == "INVALID_FIELD"
        viewer.send(Ping(b"hello"))
        viewer.until(lambda v: v.pongs == [b"hello"], "the pong")
        viewer.disconnect()
        system.post(stream, "missed")
        viewer.cursor = posted["cursor"]
        viewer.connect()
        viewer.until(lambda v: "missed" in v.texts(), "what was missed")
        system.end_stream(stream)
        watch([viewer, other], lambda: viewer.closed and other.closed, "the end")
        assert viewer.close == other.close == (1000, "the stream has ended")
        assert viewer.texts() == other.texts() == ["before", "one", "missed"]
    with Http2SocketViewer(system.url, stream, token="x.y.z") as nobody:
        refused(nobody, Reason.UNAUTHENTICATED)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(0x81, b"{}", masked=False), 1002),
        (frame(0x81, b"\xff\xfe"), 1007),
        (b"\x81\xfe\x40\x01", 1009),
        (frame(0x82, b"binary"), 1003),
        (frame(0x88, b"\x03\xe8"), 1000),
    ],
)
def test_over_http_2_a_malformed_frame_closes_with_the_same_code(system: System, data: bytes, code: int) -> None:
    stream = system.create_stream()
    with Http2SocketViewer(system.url, stream) as viewer:
        viewer.until(lambda v: v.events, "the snapshot")
        viewer.send_raw(data)
        viewer.until(lambda v: v.closed, "the close")
        assert viewer.close is not None
        assert viewer.close[0] == code


# -- the edge goes away --


def test_a_draining_edge_sends_its_viewers_away_and_they_go_on_elsewhere(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-draining", edge_drain_s="1") as edge:
        url = ready(system, edge)
        with open_socket(system, stream, url=url) as viewer:
            system.post(stream, "one")
            viewer.until(lambda v: v.texts() == ["one"], "the first")
            edge.signal(signal.SIGTERM)
            viewer.until(lambda v: v.closed, "the farewell")
            assert viewer.close is not None
            assert viewer.close[0] == 1001
            assert re.fullmatch(r"going away: come back in \d+ ms", viewer.close[1])
            system.post(stream, "two")
            viewer.host = urlsplit(system.url).netloc
            viewer.connect()
            viewer.until(lambda v: len(v.texts()) == 2, "the second")
            assert viewer.texts() == ["one", "two"]
        assert edge.popen is not None
        assert edge.popen.wait(10) == 0


def test_an_edge_that_is_full_refuses_before_the_upgrade(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-full", edge_max_viewers="1") as edge:
        url = ready(system, edge)
        with SocketViewer(url, stream) as only:
            only.until(lambda v: v.events, "the snapshot")
            with SocketViewer(url, stream) as other:
                refused(other, Reason.OVERLOADED)
                assert int(other.headers["retry-after"]) >= 1
