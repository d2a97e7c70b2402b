"""The opening of a WebSocket: answered alike by every way in, or refused before the upgrade."""

import re
import socket
import time
import uuid
from urllib.parse import urlsplit

import pytest

from livecomments.errors import Reason
from tests.sockets import SocketViewer
from tests.system import System, ready
from tests.websocket.viewers import frame, open_socket, refused

pytestmark = pytest.mark.usefixtures("no_error_is_logged")


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
    return re.sub(rb'"viewers":\d+|date: [^\r]+', b"", without_what_follows(data))


def without_what_follows(answer: bytes) -> bytes:
    """An upgrade's answer up to the end of its first frame: how many viewers there are now may follow at once."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        return answer
    size = body[1] if body[1] < 126 else 2 + int.from_bytes(body[2:4])
    return head + end + body[: 2 + size]


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
