"""Watch by gRPC-web: the same events as over SSE, in both forms and by every way in."""

import re
import signal
import socket
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest

from livecomments.errors import Reason
from livecomments.v1 import feed_service_pb2 as pb
from tests.grpc_web import BINARY, TEXT, WATCH, Ending, GrpcWebViewer, framed, frames, read_trailers, written
from tests.processes import eventually
from tests.system import System, ready
from tests.viewers import Event, Viewer, from_the_log, make_known, watch

pytestmark = pytest.mark.usefixtures("no_error_is_logged")

OK = Ending(0, "", "", 0, ())


@pytest.fixture(params=[BINARY, TEXT + "+proto"], ids=["binary", "text"])
def content_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def call(system: System, stream: str, *, url: str = "", **how: Any) -> GrpcWebViewer:
    """A viewer that has its snapshot, or its refusal. The edge knows the stream: the door could have answered."""
    url = url or system.url
    make_known(url, stream, how.get("token", ""))
    viewer = GrpcWebViewer(url, stream, **how)
    viewer.until(lambda v: v.events or v.ending or v.closed, "the first event")
    return viewer


def without_viewers(events: list[Event]) -> list[Event]:
    """A changed stream says how many watch, which gRPC tells apart from it."""
    for event in events:
        if event.name == "stream_updated":
            del event.data["stream"]["viewers"]
    return events


# -- watching --


def test_every_event_is_the_same_as_over_sse(system: System, content_type: str, reused: bool) -> None:
    stream = system.create_stream(title="The final")
    host = system.token("host", role="host")
    path = f"/v1/streams/{stream}"
    system.post(stream, "before", meta={"a": 1}, lag_ms=5)
    with (
        call(system, stream, content_type=content_type, reused=reused) as viewer,
        system.watch(stream) as other,
    ):
        assert viewer.status == 200
        assert viewer.headers["content-type"] == content_type.removesuffix("+proto") + "+proto"
        one, two = system.post(stream, "one"), system.post(stream, "two \U0001f3c6 \u2028")
        system.request("PUT", f"{path}/pinned", {"comment_id": one["comment_id"]}, token=host)
        system.request("DELETE", f"{path}/comments/{two['comment_id']}", token=host)
        system.request("DELETE", f"{path}/pinned", token=host)
        system.request("PATCH", path, {"title": "New"}, token=host)
        system.end_stream(stream)
        watch([viewer, other], lambda: viewer.closed and other.closed, "the end")
        assert viewer.comments() == other.comments()
        assert without_viewers(from_the_log(viewer)) == without_viewers(from_the_log(other))
        assert {event.name for event in viewer.events} >= {
            "snapshot", "new_comment", "pinned_comment", "delete_comment", "unpinned_comment", "stream_updated",
            "stream_ended",
        }  # fmt: skip
        assert viewer.ending == OK


def test_viewers_are_counted_and_told(system: System, content_type: str) -> None:
    stream = system.create_stream()
    with call(system, stream, content_type=content_type) as one, call(system, stream, content_type=content_type):
        one.until(lambda v: any(e.name == "viewers" and e.data["viewers"] == 2 for e in v.events), "two are counted")


def test_silence_is_broken_by_a_heartbeat(system: System, content_type: str, reused: bool) -> None:
    stream = system.create_stream()
    with (
        system.service("edge", "-beat", edge_heartbeat_s="1") as edge,
        call(system, stream, url=ready(system, edge), content_type=content_type, reused=reused) as viewer,
    ):
        viewer.until(lambda v: v.heartbeats >= 2, "two heartbeats")


def test_a_viewer_resumes_at_every_cursor(system: System, content_type: str, reused: bool) -> None:
    stream = system.create_stream()
    host = system.token("host", role="host")
    with call(system, stream) as whole:
        for number in range(4):
            posted = system.post(stream, f"c{number}")
            if number % 2:
                path = f"/v1/streams/{stream}/comments/{posted['comment_id']}"
                assert system.request("DELETE", path, token=host).status_code == 204
        whole.until(lambda v: sum(event.name == "delete_comment" for event in v.events) == 2, "all of it")
        events = from_the_log(whole)
        for place, seen in enumerate(events):
            with call(system, stream, cursor=seen.id, content_type=content_type, reused=reused) as viewer:
                rest = events[place + 1 :]
                viewer.until(lambda v, rest=rest: len(from_the_log(v)) == len(rest), "what was missed")  # type: ignore[misc]
                first = viewer.responses[0].snapshot
                assert (first.recovered, first.cursor, list(first.comments)) == (True, seen.id, [])
                assert viewer.texts() == [c["text"] for e in rest if e.name == "new_comment" for c in e.data]
                assert viewer.cursor == events[-1].id


def test_a_viewer_that_was_cut_comes_back_with_its_cursor(system: System, content_type: str) -> None:
    stream = system.create_stream()
    with call(system, stream, content_type=content_type) as viewer:
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
    with call(system, stream, cursor="elsewhere-7", reused=reused) as viewer:
        assert viewer.responses[0].snapshot.recovered is False
        assert viewer.texts() == ["one"]


def test_a_stream_that_has_ended_is_shown_and_the_call_goes_well(system: System, reused: bool) -> None:
    stream = system.create_stream()
    posted = system.post(stream, "one")
    system.end_stream(stream)
    with call(system, stream, reused=reused) as viewer:
        viewer.until(lambda v: v.ending, "the end")
        assert (viewer.texts(), viewer.ending) == (["one"], OK)
        assert viewer.responses[0].snapshot.stream.state == 2
    with call(system, stream, cursor=posted["cursor"], reused=reused) as viewer:
        viewer.until(lambda v: v.ending, "the end")
        assert [event.name for event in viewer.events] == ["snapshot", "stream_ended"]
        assert viewer.ending == OK
        final = viewer.cursor
    with call(system, stream, cursor=final, reused=reused) as viewer:
        assert (viewer.responses, viewer.ending) == ([], OK)


def test_viewers_of_all_kinds_see_the_same_order(system: System) -> None:
    stream = system.create_stream()
    viewers: list[Viewer] = [
        Viewer(system.url, stream)
        if number % 3 == 0
        else GrpcWebViewer(system.url, stream, content_type=(BINARY, TEXT)[number % 2], reused=number % 4 == 1)
        for number in range(60)
    ]
    try:
        watch(viewers, lambda: all(viewer.events for viewer in viewers), "everyone is in")
        for number in range(30):
            system.post(stream, f"c{number}")
        watch(viewers, lambda: all(len(viewer.ids()) >= 30 for viewer in viewers), "everyone has all")
        order = viewers[0].ids()
        assert len(order) == len(set(order)) == 30
        assert all(viewer.ids() == order for viewer in viewers)
    finally:
        for viewer in viewers:
            viewer.disconnect()


def test_a_call_has_the_deadline_that_it_asks_for(system: System, reused: bool) -> None:
    stream = system.create_stream()
    began = time.monotonic()
    with call(system, stream, headers={"grpc-timeout": "700m"}, reused=reused) as viewer:
        system.post(stream, "in time")
        viewer.until(lambda v: v.closed, "the deadline")
        assert time.monotonic() - began >= 0.7
        assert viewer.texts() == ["in time"]
        assert viewer.ending is not None
        assert viewer.ending.status == 4
    with call(system, stream, headers={"grpc-timeout": "soon"}, reused=reused) as viewer:
        assert viewer.ending is not None
        assert (viewer.ending.reason, viewer.ending.fields) == ("INVALID_FIELD", ("grpc-timeout",))


# -- nothing stays --


def test_a_viewer_is_a_descriptor_and_nothing_else_and_leaves_not_even_that(
    system: System, content_type: str, reused: bool
) -> None:
    stream = system.create_stream()
    edge = system.edge
    eventually(lambda: edge.metric("livecomments_edge_connections") == 0, "those of other tests have gone")
    before, tasks = system.edge.descriptors(), edge.metric("livecomments_edge_tasks")
    viewers = [call(system, stream, content_type=content_type, reused=reused) for _ in range(10)]
    eventually(lambda: edge.metric("livecomments_edge_connections") == 10, "they are there, and nobody else")
    assert edge.metric("livecomments_edge_ordinary_viewers") == 0
    # One that stayed with Hypercorn would have several.
    eventually(lambda: edge.metric("livecomments_edge_tasks") < tasks + 10, "no task is left behind")
    for viewer in viewers:
        viewer.disconnect()
    eventually(lambda: system.edge.descriptors() <= before, "no descriptor is left", timeout_s=5)


# -- what is refused --


def test_a_refusal_stands_in_the_trailers_with_its_details(system: System, content_type: str, reused: bool) -> None:
    private = system.create_stream(visibility="private")
    public = system.create_stream()
    how: dict[str, Any] = {"content_type": content_type, "reused": reused}
    for stream, token, cursor, everything, reason, status in (
        (f"s-{uuid.uuid4().hex}", "", "", False, Reason.STREAM_NOT_FOUND, 5),
        (private, "", "", False, Reason.UNAUTHENTICATED, 16),
        (private, system.token("eve"), "", False, Reason.FORBIDDEN, 7),
        (public, "x.y.z", "", False, Reason.UNAUTHENTICATED, 16),
        (public, "", "nonsense", False, Reason.BAD_CURSOR, 3),
        (public, system.token("eve"), "", True, Reason.FORBIDDEN, 7),
    ):
        with GrpcWebViewer(system.url, stream, token=token, cursor=cursor, everything=everything, **how) as viewer:
            viewer.until(lambda v: v.ending, "the refusal")
            assert viewer.status == 200
            assert viewer.ending is not None
            assert (viewer.ending.reason, viewer.ending.status) == (reason, status)
            assert viewer.ending.message
            assert viewer.responses == []
    for bad in ("", "a/b", "x" * 65):
        with GrpcWebViewer(system.url, bad, **how) as viewer:
            viewer.until(lambda v: v.ending, "the refusal")
            assert viewer.ending is not None
            assert (viewer.ending.reason, viewer.ending.fields) == ("INVALID_FIELD", ("stream_id",))
    with call(system, private, token=system.token("ann", streams=(private,)), **how) as ann:
        assert ann.events[0].name == "snapshot"


def test_the_host_may_have_all_of_a_feed(system: System) -> None:
    stream = system.create_stream()
    with call(system, stream, token=system.token("host", role="host"), everything=True) as viewer:
        system.post(stream, "one")
        viewer.until(lambda v: v.texts() == ["one"], "the comment")


def test_another_media_type_is_none_of_ours(system: System) -> None:
    answer = system.request("POST", WATCH, b"{}", headers={"Content-Type": "application/json"})
    assert answer.status_code == 415
    assert system.request("GET", WATCH).status_code == 405


def test_pages_of_an_allowed_origin_may_call_and_read_the_trailers(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-cors", edge_cors_origins="https://a.example") as edge:
        url = ready(system, edge)
        ask = {
            "Origin": "https://a.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,grpc-timeout,x-grpc-web,x-user-agent",
        }
        allowed = system.client.options(url + WATCH, headers=ask).headers
        wanted = set(ask["Access-Control-Request-Headers"].split(","))
        assert wanted <= set(allowed["access-control-allow-headers"].split(", "))
        assert "POST" in allowed["access-control-allow-methods"].split(", ")
        for reused in (False, True):
            origin = {"Origin": "https://a.example"}
            with call(system, stream, url=url, headers=origin, reused=reused) as viewer:
                assert viewer.headers["access-control-allow-origin"] == "https://a.example"
                assert "grpc-status-details-bin" in viewer.headers["access-control-expose-headers"]


# -- the edge goes away --


def test_a_draining_edge_sends_its_viewers_away_and_they_go_on_elsewhere(
    system: System, content_type: str, reused: bool
) -> None:
    stream = system.create_stream()
    with system.service("edge", "-draining", edge_drain_s="0.5") as edge:
        with call(system, stream, url=ready(system, edge), content_type=content_type, reused=reused) as viewer:
            system.post(stream, "one")
            viewer.until(lambda v: v.texts() == ["one"], "the first")
            edge.signal(signal.SIGTERM)
            viewer.until(lambda v: v.closed, "the farewell")
            assert viewer.ending is not None
            assert (viewer.ending.status, viewer.ending.reason) == (14, "DRAINING")
            assert 0 < viewer.ending.retry_ms <= 2_000
            system.post(stream, "two")
            viewer.host = urlsplit(system.url).netloc
            viewer.connect()
            viewer.until(lambda v: len(v.texts()) == 2, "the second")
            assert viewer.texts() == ["one", "two"]
        assert edge.popen is not None
        assert edge.popen.wait(10) == 0


def test_an_edge_that_is_full_says_when_to_come_back(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-full", edge_max_viewers="1") as edge:
        url = ready(system, edge)
        with GrpcWebViewer(url, stream) as only:
            only.until(lambda v: v.events, "the snapshot")
            with GrpcWebViewer(url, stream) as other:
                other.until(lambda v: v.ending, "the refusal")
                assert other.ending is not None
                assert (other.ending.reason, other.ending.status) == ("OVERLOADED", 14)
                assert other.ending.retry_ms > 0


# -- the two doors --


def asking(body: bytes, *lines: str, content_type: str = BINARY) -> bytes:
    head = [f"POST {WATCH} HTTP/1.1", "Host: test", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, *lines]).encode() + b"\r\n\r\n" + body


def ask(system: System, request: bytes, *, reused: bool, pieces: int = 1) -> bytes:
    """All that comes back until there is a whole refusal, or the snapshot's chunk; without what differs each time."""
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
        while (end := length_of(data)) is None and (part := connection.recv(65536)):
            data += part
    # A heartbeat may have come with the first chunk.
    return re.sub(rb"date: [^\r]+\r\n", b"", data[:end])


def length_of(answer: bytes) -> int | None:
    """Of the head with the body, or with its first chunk; None as long as that is not there."""
    head, found, body = answer.partition(b"\r\n\r\n")
    begin = len(head) + len(found)
    if b"transfer-encoding: chunked" in head.lower():
        size, line_end, _ = body.partition(b"\r\n")
        end = begin + len(size) + 2 + int(size, 16) + 2 if line_end else None
    else:
        length = re.search(rb"content-length: (\d+)", head)
        end = begin + int(length[1]) if found and length else None
    return end if end is not None and len(answer) >= end else None


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Accept: application/grpc-web-text",),
        ("Authorization: Bearer TOKEN",),
        ("Authorization: Bearer x.y.z",),
        ("Origin: https://a.example",),
        ("X-Grpc-Web: 1", "X-User-Agent: grpc-web-javascript/0.1"),
        ("Accept-Encoding: gzip",),
    ],
)
def test_a_call_is_answered_alike_by_every_way_in(
    system: System, content_type: str, lines: tuple[str, ...], pieces: int
) -> None:
    stream = system.create_stream()
    posted = system.post(stream, "one")
    system.post(stream, "two")
    token = system.token("ann")
    with system.watch(stream) as viewer:
        viewer.until(lambda v: len(v.texts()) == 2, "the edge knows the stream")
        # The number of viewers stands in the snapshot: it must not change meanwhile.
        viewer.until(lambda v: any(e.name == "viewers" for e in v.events), "this one is counted")
        for cursor in (posted["cursor"], "nonsense", "elsewhere-7"):
            body = written(framed(pb.WatchRequest(stream_id=stream, cursor=cursor)), content_type)
            request = asking(body, *(line.replace("TOKEN", token) for line in lines), content_type=content_type)
            here = ask(system, request, reused=False, pieces=pieces)
            there = ask(system, request, reused=True, pieces=pieces)
            assert re.sub(rb"(?i)transfer-encoding", b"", there) == re.sub(rb"(?i)transfer-encoding", b"", here)
            assert here.startswith(b"HTTP/1.1 200 ")
            if b"chunked" in here:
                # h11 writes that header's name with capitals.
                assert b"transfer-encoding: chunked" in here, "the door has answered"


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"\x00\x00\x00\x00\x00",
        b"\x00\x00\x00\x00\x02\xff\xff",
        b"\x01\x00\x00\x00\x00",
        b"\x80\x00\x00\x00\x00",
        b"\x00\xff\xff\xff\xff",
        framed(pb.WatchRequest(stream_id="s")) * 2,
    ],
)
def test_a_malformed_call_is_refused_and_disturbs_nobody(system: System, body: bytes, pieces: int) -> None:
    stream = system.create_stream()
    with call(system, stream) as viewer:
        for reused in (False, True):
            _, _, content = ask(system, asking(body), reused=reused, pieces=pieces).partition(b"\r\n\r\n")
            ((flags, block),) = frames(content)
            assert flags == 0x80
            assert read_trailers(block).reason in ("MALFORMED_BODY", "INVALID_FIELD")
        system.post(stream, "undisturbed")
        viewer.until(lambda v: v.texts() == ["undisturbed"], "the next comment")


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (asking(b"x" * 20_000), rb"200 (?s:.*)connection: close(?s:.*)grpc-status:11"),
        (asking(b"").replace(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n") + b"ZZ\r\n", rb"4\d\d "),
        (asking(b"").replace(b"Length: 0", b"Length: -1"), rb"4\d\d "),
        (asking(b"").replace(b"Host: test\r\n", b""), rb"4\d\d "),
        (asking(b"").replace(b"POST", b"PUT"), rb"405 "),
    ],
)
def test_an_odd_request_is_answered_and_disturbs_nobody(system: System, request_bytes: bytes, answer: bytes) -> None:
    stream = system.create_stream()
    with call(system, stream) as viewer:
        for reused in (False, True):
            found = ask(system, request_bytes, reused=reused)
            assert re.match(rb"HTTP/1\.1 " + answer, found), found[:300]
        system.post(stream, "undisturbed")
        viewer.until(lambda v: v.texts() == ["undisturbed"], "the next comment")


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(system: System) -> None:
    stream = system.create_stream()
    body = framed(pb.WatchRequest(stream_id=stream))
    host, port = urlsplit(system.url).netloc.split(":")
    with system.watch(stream), socket.create_connection((host, int(port)), timeout=3) as connection:
        connection.sendall(asking(body, "Expect: 100-continue").removesuffix(body))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_connection_that_carried_posts_and_a_slow_one_are_served_too(system: System) -> None:
    stream = system.create_stream()
    body = framed(pb.WatchRequest(stream_id=stream))
    token = system.token("ann")
    text = b'{"text":"one"}'
    post = (
        f"POST /v1/streams/{stream}/comments HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {len(text)}\r\n\r\n"
    )
    host, port = urlsplit(system.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        # Byte by byte: these begin alike.
        for byte in (post.encode() + text)[:20]:
            connection.sendall(bytes((byte,)))
        connection.sendall((post.encode() + text)[20:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 202 ")
        for byte in asking(body):
            connection.sendall(bytes((byte,)))
        answer = b""
        while length_of(answer) is None:
            answer += connection.recv(65536)
        assert b"one" in answer
