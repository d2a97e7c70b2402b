"""The feed over a WebSocket: the same events as over SSE, and posts on the same connection, by every way in."""

import re
import signal
import socket
import struct
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wsproto.events import CloseConnection, Ping, TextMessage

from livecomments.errors import Reason
from tests.http2 import Http2SocketViewer
from tests.processes import Service, eventually
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import Event, Viewer, watch


@pytest.fixture(params=["door", "hypercorn"])
def reused(request: pytest.FixtureRequest) -> bool:
    """Whether the connection is Hypercorn's already when the WebSocket is opened."""
    return bool(request.param == "hypercorn")


@pytest.fixture(autouse=True)
def no_error_is_logged(system: System) -> Iterator[None]:
    before = len(system.edge.output.read_text())
    yield
    logged = system.edge.output.read_text()[before:]
    assert "Traceback" not in logged, logged
    assert '"level": "error"' not in logged, logged


def open_socket(system: System, stream: str, *, url: str = "", **how: Any) -> SocketViewer:
    """A viewer that has its snapshot. The edge knows the stream, so that the door could have answered."""
    url = url or system.url
    with Viewer(url, stream, token=how.get("token", "")) as first:
        first.until(lambda v: v.events or v.closed or v.status not in (0, 200), "the edge knows the stream")
    viewer = SocketViewer(url, stream, **how)
    viewer.until(lambda v: v.events or v.closed or v.status not in (0, 101), "the first event")
    return viewer


def frame(first: int, payload: bytes, *, masked: bool = True) -> bytes:
    """One short frame as a client writes it, right or wrong; masked with zeros."""
    head = bytes((first, (0x80 if masked else 0) | len(payload)))
    return head + (bytes(4) if masked else b"") + payload


def from_the_log(viewer: Viewer) -> list[Event]:
    return [event for event in viewer.events if event.name not in ("viewers", "snapshot")]


# -- watching --


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


# -- posting --


def test_a_repeated_request_id_is_stored_once(system: System, reused: bool) -> None:
    stream = system.create_stream()
    with open_socket(system, stream, token=system.token("ann"), reused=reused) as viewer:
        assert viewer.post("one", "r1") == viewer.post("one", "r1")
        viewer.say({"post": {"request_id": "r1", "text": "two"}})
        assert viewer.answer("r1", "error")["reason"] == "KEY_REUSED"
        again = system.try_post(stream, "one", key="r1")
        assert again.status_code == 202, "it is the same key over HTTP"
        viewer.until(lambda v: v.texts(), "the comment")
        assert viewer.texts() == ["one"]


@pytest.mark.parametrize(
    ("message", "request_id", "reason", "pointer"),
    [
        ('{"post": ', None, Reason.MALFORMED_BODY, None),
        ("[]", None, Reason.MALFORMED_BODY, None),
        ({"shout": {}}, None, Reason.INVALID_FIELD, "#/shout"),
        ({}, None, Reason.INVALID_FIELD, "#/post"),
        ({"post": {"text": "a"}}, None, Reason.INVALID_FIELD, "#/post/request_id"),
        ({"post": {"request_id": "", "text": "a"}}, "", Reason.INVALID_FIELD, "#/post/request_id"),
        ({"post": {"request_id": "é", "text": "a"}}, "é", Reason.INVALID_FIELD, "#/post/request_id"),
        ({"post": {"request_id": "r", "text": 5}}, "r", Reason.INVALID_FIELD, "#/post/text"),
        ({"post": {"request_id": "r", "text": " "}}, "r", Reason.INVALID_FIELD, "#/post/text"),
        ({"post": {"request_id": "r", "text": "a", "lag_ms": -1}}, "r", Reason.INVALID_FIELD, "#/post/lag_ms"),
        ({"post": {"request_id": "r", "text": "a", "client_ts": 2**63}}, "r", Reason.INVALID_FIELD, "#/post/client_ts"),
        ({"post": {"request_id": "r", "text": "a", "meta": [1]}}, "r", Reason.INVALID_FIELD, "#/post/meta"),
        ({"post": {"request_id": "r", "text": "a", "more": 1}}, "r", Reason.INVALID_FIELD, "#/post/more"),
        ({"post": {"request_id": "r", "text": "\ud800"}}, None, Reason.MALFORMED_BODY, None),
    ],
)
def test_a_bad_post_is_named_by_its_field_and_the_connection_stays(
    system: System, message: object, request_id: str | None, reason: Reason, pointer: str | None
) -> None:
    stream = system.create_stream()
    with open_socket(system, stream, token=system.token("ann")) as viewer:
        viewer.say(message)
        error = viewer.answer(request_id, "error")
        assert error["reason"] == reason
        assert error["detail"]
        assert [found["pointer"] for found in error.get("errors", [])] == ([pointer] if pointer else [])
        viewer.post("good", "r2")
        viewer.until(lambda v: v.texts(), "the good one")
        assert viewer.texts() == ["good"]


def test_everyone_may_watch_a_public_stream_but_posting_needs_a_token(system: System, reused: bool) -> None:
    stream = system.create_stream()
    with open_socket(system, stream, reused=reused) as viewer:
        viewer.say({"post": {"request_id": "r", "text": "a"}})
        assert viewer.answer("r", "error")["reason"] == "UNAUTHENTICATED"
    with open_socket(system, stream, token=system.token("ann", ttl_s=2), reused=reused) as viewer:

        def is_refused() -> bool:
            viewer.say({"post": {"request_id": uuid.uuid4().hex, "text": "a"}})
            viewer.until(lambda v: v.replies, "an answer")
            name, data = viewer.replies.pop()
            return bool(name == "error" and data["reason"] == "UNAUTHENTICATED")

        # At the pace that one socket is permitted.
        eventually(lambda: is_refused() or time.sleep(0.05), "the token has expired", timeout_s=5)
        system.post(stream, "last")
        viewer.until(lambda v: "last" in v.texts(), "it still watches")


def test_the_posts_of_one_viewer_that_wait_are_bounded(system: System) -> None:
    stream = system.create_stream()
    system.post(stream, "before")
    with open_socket(system, stream, token=system.token("ann")) as viewer:
        system.nats.signal(signal.SIGSTOP)
        try:
            for number in range(20):
                viewer.say({"post": {"request_id": f"r{number}", "text": f"c{number}"}})
            viewer.until(lambda v: len(v.replies) == 4, "four answers at once", timeout_s=1.5)
            assert [data["request_id"] for _, data in viewer.replies] == [f"r{number}" for number in range(16, 20)]
            assert all(data["reason"] == "OVERLOADED" for _, data in viewer.replies)
            assert all(data["retry_after_ms"] > 0 for _, data in viewer.replies)
        finally:
            system.nats.signal(signal.SIGCONT)
        viewer.until(lambda v: len(v.replies) == 20, "all are answered")


def test_the_limit_of_an_address_counts_what_comes_over_a_websocket(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-strict", edge_address_rate="0.01", edge_address_burst="3") as edge:
        url = ready(system, edge)
        with open_socket(system, stream, url=url, token=system.token("ann")) as viewer:
            for number in range(3):
                viewer.post("a", f"r{number}")
            viewer.say({"post": {"request_id": "over", "text": "a"}})
            error = viewer.answer("over", "error")
            assert error["reason"] == "ADDRESS_RATE"
            assert error["retry_after_ms"] > 1_000
            headers = {"Authorization": f"Bearer {system.token('bob')}"}
            answer = system.client.post(f"{url}/v1/streams/{stream}/comments", json={"text": "x"}, headers=headers)
            assert answer.status_code == 429, "it is the same address"


# -- frames --


def test_a_ping_is_answered_and_silence_is_broken_by_one(system: System, reused: bool) -> None:
    stream = system.create_stream()
    with system.service("edge", "-beat", edge_heartbeat_s="1") as edge:
        url = ready(system, edge)
        with open_socket(system, stream, url=url, reused=reused) as viewer:
            for payload in (b"", b"hello", b"x" * 125):
                viewer.send(Ping(payload))
            viewer.until(lambda v: v.pongs == [b"", b"hello", b"x" * 125], "the pongs")
            viewer.until(lambda v: v.heartbeats >= 2, "two heartbeats")


def test_a_message_may_come_in_fragments_byte_by_byte_with_pings_between(system: System, reused: bool) -> None:
    stream = system.create_stream()
    with open_socket(system, stream, token=system.token("ann"), reused=reused) as viewer:
        message = '{"post":{"request_id":"r","text":"gr\u00fc\u00dfe \U0001f3c6"}}'
        for at, character in enumerate(message):
            viewer.send(TextMessage(data=character, message_finished=at == len(message) - 1))
            if at == 20:
                viewer.send(Ping(b"between"))
        viewer.answer("r", "posted")
        assert viewer.pongs == [b"between"]
        for byte in frame(0x81, b'{"post":{"request_id":"r2","text":"slowly"}}'):
            viewer.send_raw(bytes((byte,)))
        viewer.answer("r2", "posted")
        viewer.until(lambda v: len(v.texts()) == 2, "both")
        assert viewer.texts() == ["gr\u00fc\u00dfe \U0001f3c6", "slowly"]


def test_the_largest_message_is_taken(system: System) -> None:
    stream = system.create_stream()
    with open_socket(system, stream, token=system.token("ann")) as viewer:
        message = '{"post":{"request_id":"r","text":"a"}'
        viewer.say(message + " " * (16 * 1024 - len(message) - 1) + "}")
        viewer.answer("r", "posted")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(0x81, b"{}", masked=False), 1002),
        (frame(0xC1, b"{}"), 1002),
        (frame(0x83, b""), 1002),
        (frame(0x80, b"x"), 1002),
        (frame(0x01, b"x") + frame(0x81, b"y"), 1002),
        (frame(0x09, b""), 1002),
        (frame(0x88, b"\x03"), 1002),
        (frame(0x88, struct.pack("!H", 1006)), 1002),
        (b"\xff" * 64, 1002),
        (frame(0x81, b"\xff\xfe"), 1007),
        (frame(0x88, b"\x03\xe8\xff"), 1007),
        (frame(0x82, b"binary"), 1003),
        (b"\x81\xfe\x40\x01", 1009),
        (b"\x81\xff" + struct.pack("!Q", 1 << 33), 1009),
    ],
)
def test_a_malformed_frame_closes_with_its_code_and_disturbs_nobody(system: System, data: bytes, code: int) -> None:
    stream = system.create_stream()
    for reused in (False, True):
        with open_socket(system, stream, reused=reused) as viewer, open_socket(system, stream) as other:
            viewer.send_raw(data)
            viewer.until(lambda v: v.closed, "the close")
            assert viewer.close is not None
            assert viewer.close[0] == code
            assert viewer.close[1], "a reason"
            system.post(stream, "undisturbed")
            other.until(lambda v: v.texts()[-1:] == ["undisturbed"], "the next comment")


pieces_of_frames = st.builds(
    lambda first, payload, masked: frame(first, payload, masked=masked),
    st.sampled_from([0x81, 0x01, 0x00, 0x80, 0x89, 0x8A, 0x88, 0x82, 0xC1, 0x83]),
    st.one_of(
        st.binary(max_size=125),
        st.just(b"\x03\xe8"),
        st.sampled_from([b'{"post":{"request_id":"r","text":"a"}}', b'{"post":{}}', b"[", b'{"post":"\\ud800"}']),
    ),
    st.sampled_from([True] * 9 + [False]),
)


@given(st.lists(st.one_of(st.lists(pieces_of_frames, max_size=8).map(b"".join), st.binary(max_size=200)), max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_disturbs_nobody(system: System, pieces: list[bytes]) -> None:
    stream = system.create_stream()
    with open_socket(system, stream) as other:
        for reused in (False, True):
            with open_socket(system, stream, reused=reused) as viewer:
                for piece in pieces:
                    viewer.send_raw(piece)
        system.post(stream, "undisturbed")
        other.until(lambda v: v.texts() == ["undisturbed"], "the next comment")


def test_too_many_frames_close_the_connection(system: System) -> None:
    stream = system.create_stream()
    with open_socket(system, stream) as viewer:
        viewer.send_raw(frame(0x8A, b"") * 1_000)
        viewer.until(lambda v: v.closed, "the close")
        assert viewer.close == (1008, "too many frames")


def test_a_close_is_answered_with_its_code(system: System, reused: bool) -> None:
    stream = system.create_stream()
    for close, answer in ((CloseConnection(1000, "bye"), 1000), (CloseConnection(4321), 4321)):
        with open_socket(system, stream, reused=reused) as viewer:
            viewer.send(close)
            viewer.until(lambda v: v.closed, "the answer")
            assert viewer.close is not None
            assert viewer.close[0] == answer


def test_one_that_closes_its_half_or_vanishes_is_let_go(system: System, reused: bool) -> None:
    stream = system.create_stream()
    before = system.edge.descriptors()
    for vanish in (socket.SHUT_WR, None):
        viewers = [open_socket(system, stream, reused=reused) for _ in range(10)]
        assert system.edge.descriptors() >= before + 10
        for viewer in viewers:
            if vanish is not None:
                connection = viewer._socket
                assert connection is not None
                connection.shutdown(vanish)
                viewer.until(lambda v: v.closed, "the end")
            else:
                viewer.disconnect()
        eventually(lambda: system.edge.descriptors() <= before, "no descriptor is left", timeout_s=5)


def test_descriptors_come_back_from_every_way_out(system: System) -> None:
    stream = system.create_stream()
    before = system.edge.descriptors()
    for data in (frame(0x83, b""), frame(0x88, b"\x03\xe8"), b"\x81\xfe\x40\x01" + b"x" * 100_000):
        viewers = [open_socket(system, stream) for _ in range(5)]
        for viewer in viewers:
            viewer.send_raw(data)
            viewer.until(lambda v: v.closed, "the close")
            assert viewer.close is not None, "the close frame came, although more was sent than was read"
    eventually(lambda: system.edge.descriptors() <= before, "no descriptor is left", timeout_s=8)


# -- openings --


def opening(stream: str, *lines: str, query: str = "") -> bytes:
    head = [
        f"GET /v1/streams/{stream}/feed{query} HTTP/1.1",
        "Host: test",
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *lines,
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")


def ask(system: System, request: bytes, *, reused: bool, pieces: int = 1) -> bytes:
    """All that comes back until there is a whole problem, or the snapshot's frame; without what differs each time."""
    host, port = urlsplit(system.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if reused:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
            while not connection.recv(4096).endswith(b"ok\n"):
                pass
        size = -(-len(request) // pieces)
        for begin in range(0, len(request), size):
            connection.sendall(request[begin : begin + size])
            if pieces > 1:
                time.sleep(0.02)  # only so that the pieces leave in packets of their own
        data = b""
        while not is_whole(data) and (part := connection.recv(65536)):
            data += part
    return re.sub(rb'"viewers":\d+|date: [^\r]+', b"", data)


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 101 "):
        return b'"degraded"' in body
    length = re.search(rb"content-length: (\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(
    ("lines", "query", "status"),
    [
        ((), "", 101),
        (("Authorization: Bearer TOKEN",), "", 101),
        (("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",), "", 101),
        (("Sec-WebSocket-Protocol: chat",), "", 101),
        (("Origin: http://test",), "", 101),
        ((), "?cursor=CURSOR", 101),
        ((), "?cursor=", 101),
        ((), "?cursor=nonsense", 400),
        ((), "?cursor=a-1&cursor=a-2", 400),
        ((), "?last_event_id=a-1", 400),
        (("Authorization: Bearer x.y.z",), "", 401),
        (("Origin: https://elsewhere.example",), "", 403),
        (("Origin: null",), "", 403),
        (("Origin: http://[",), "", 403),
        (("Authorization: Bearer \xff\xfe",), "", 401),
        (("X-Forwarded-For: ,",), "", 101),
    ],
)
def test_an_opening_is_answered_alike_by_every_way_in(
    system: System, lines: tuple[str, ...], query: str, status: int, pieces: int
) -> None:
    stream = system.create_stream()
    posted = system.post(stream, "one")
    system.post(stream, "two")
    token = system.token("ann")
    request = opening(
        stream, *(line.replace("TOKEN", token) for line in lines), query=query.replace("CURSOR", posted["cursor"])
    )
    with system.watch(stream) as viewer:
        viewer.until(lambda v: len(v.texts()) == 2, "the edge knows the stream")
        here = ask(system, request, reused=False, pieces=pieces)
        there = ask(system, request, reused=True, pieces=pieces)
    assert here == there
    assert here.startswith(b"HTTP/1.1 %d " % status)
    assert b"sec-websocket-extensions" not in here.lower()
    if status == 101:
        assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in here
    else:
        assert b"content-type: application/problem+json\r\n" in here


def test_a_private_stream_and_one_that_is_not_there_are_refused_before_the_upgrade(system: System) -> None:
    stream = system.create_stream(visibility="private")
    with SocketViewer(system.url, stream) as nobody:
        refused(nobody, Reason.UNAUTHENTICATED)
    with SocketViewer(system.url, stream, token=system.token("eve")) as eve:
        refused(eve, Reason.FORBIDDEN)
    with open_socket(system, stream, token=system.token("ann", streams=(stream,))) as ann:
        assert ann.status == 101
        # The edge knows the stream now.
        for token, reason in (("", Reason.UNAUTHENTICATED), (system.token("eve"), Reason.FORBIDDEN)):
            with SocketViewer(system.url, stream, token=token) as other:
                refused(other, reason)
    with SocketViewer(system.url, f"s-{uuid.uuid4().hex}") as lost:
        refused(lost, Reason.STREAM_NOT_FOUND)


def refused(viewer: SocketViewer, reason: Reason) -> None:
    viewer.until(lambda v: v.status and (v.closed or v.body.endswith(b"}")), "the refusal")
    assert viewer.status == reason.http_status
    assert f'"reason":"{reason}"'.encode() in viewer.body


@pytest.mark.parametrize(
    "request_bytes",
    [
        opening("STREAM").replace(b"Version: 13", b"Version: 8"),
        opening("STREAM").replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
        opening("STREAM").replace(b"Upgrade: websocket\r\n", b""),
        opening("STREAM").replace(b"Upgrade: websocket", b"Upgrade: chat"),
        opening("STREAM").replace(b"GET", b"POST"),
        opening("STREAM") + frame(0x81, b"{}"),
    ],
)
def test_what_is_no_proper_opening_is_refused_and_disturbs_nobody(system: System, request_bytes: bytes) -> None:
    stream = system.create_stream()
    with open_socket(system, stream) as viewer:
        for reused in (False, True):
            answer = ask(system, request_bytes.replace(b"STREAM", stream.encode()), reused=reused)
            assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
        system.post(stream, "undisturbed")
        viewer.until(lambda v: v.texts() == ["undisturbed"], "the next comment")


def test_pages_of_an_allowed_origin_may_open_one(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-cors", edge_cors_origins="https://a.example") as edge:
        url = ready(system, edge)
        with open_socket(system, stream, url=url, headers={"Origin": "https://a.example"}) as viewer:
            assert viewer.status == 101
        with SocketViewer(url, stream, headers={"Origin": "https://b.example"}) as other:
            refused(other, Reason.FORBIDDEN)


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


def ready(system: System, edge: Service) -> str:
    url = f"http://{edge.address}"
    eventually(lambda: system.client.get(f"{url}/readyz").status_code == 200, "the edge is ready")
    return url
