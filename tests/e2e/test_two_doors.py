"""The door answers a plain request itself, Hypercorn all others: both alike, whatever comes in whatever pieces."""

import re
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.processes import Service, eventually
from tests.system import System

ODD = "X-Odd: 1\r\nX-Odd: 2\r\n"
"""A repeated header, which the door leaves to Hypercorn."""


def connect(system: System) -> socket.socket:
    host, port = urlsplit(system.url).netloc.split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_response(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers without the date, and the body: whole, or what is there of an event stream."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        assert part, data
        data += part
    head, body = data.split(b"\r\n\r\n", 1)
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    headers.pop("date")
    length = headers.get("content-length")
    while (length is not None and len(body) < int(length)) or (length is None and b"\n\n\r\n" not in body):
        part = connection.recv(65536)
        if not part:
            break
        body += part
    return int(first.split()[1]), headers, body


def ask(system: System, request: str, pieces: int = 1) -> tuple[int, dict[str, str], bytes]:
    with connect(system) as connection:
        data = request.encode()
        size = -(-len(data) // pieces)
        for begin in range(0, len(data), size):
            connection.sendall(data[begin : begin + size])
            if pieces > 1:
                # Not to wait for anything: only so that the pieces leave in packets of their own.
                time.sleep(0.02)
        return read_response(connection)


def subscribe(stream: str, *lines: str, query: str = "") -> str:
    head = [f"GET /v1/streams/{stream}/comments/subscribe{query} HTTP/1.1", "Host: test", *lines]
    return "\r\n".join(head) + "\r\n"


def without_jitter(body: bytes) -> bytes:
    return re.sub(rb"^[0-9a-f]+\r\nretry: \d+", b"retry: N", body)


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(
    ("lines", "query"),
    [
        ((), ""),
        (("Accept: text/event-stream",), ""),
        (("Origin: https://a.example",), ""),
        (("Last-Event-ID: CURSOR",), ""),
        ((), "?last_event_id=CURSOR"),
        (("Last-Event-ID: nonsense",), ""),
        (("Last-Event-ID: other-5",), ""),
        (("Authorization: Bearer x.y.z",), ""),
        (("Authorization: Bearer TOKEN",), ""),
        ((), "?unknown=1"),
        ((), "?last_event_id=a-1&last_event_id=a-2"),
    ],
)
def test_a_subscribe_is_answered_alike(system: System, lines: tuple[str, ...], query: str, pieces: int) -> None:
    stream = system.create_stream()
    first = system.post(stream, "one")
    system.post(stream, "two")
    with system.watch(stream) as viewer:
        viewer.until(lambda v: len(v.texts()) == 2, "the stream is known to the edge")
        token = system.token("ann")
        filled = [line.replace("CURSOR", first["cursor"]).replace("TOKEN", token) for line in lines]
        request = subscribe(stream, *filled, query=query.replace("CURSOR", first["cursor"]))
        here = ask(system, request + "\r\n", pieces)
        there = ask(system, request + ODD + "\r\n", pieces)
        assert here[0] == there[0]
        assert here[1] == there[1]
        if here[0] != 200:
            assert here[2] == there[2]
        else:
            # Chunks are cut alike, and the number of viewers may have changed between the two.
            texts = [re.sub(rb'"viewers":\d+', b"", without_jitter(body)) for body in (here[2], there[2])]
            assert texts[0].split(b"\n\n")[:2] == texts[1].split(b"\n\n")[:2]


@pytest.mark.parametrize("pieces", [1, 4])
@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ('{"text":"hello"}', ("Authorization: Bearer TOKEN", "Idempotency-Key: k1")),
        ('{"text":"hello"}', ("Authorization: Bearer TOKEN", 'Idempotency-Key: "k2"', "Origin: https://a.example")),
        ('{"text":"hello"}', ()),
        ('{"text":"hello"}', ("Authorization: Bearer x.y.z",)),
        ('{"text":5}', ("Authorization: Bearer TOKEN",)),
        ('{"text":"a","client_ts":9223372036854775808}', ("Authorization: Bearer TOKEN",)),
        ("{", ("Authorization: Bearer TOKEN",)),
        ('{"text":""}', ("Authorization: Bearer TOKEN",)),
        ('{"text":"a","x":1}', ("Authorization: Bearer TOKEN",)),
        ('{"text":"a"}', ("Authorization: Bearer TOKEN", "Idempotency-Key: ")),
    ],
)
def test_a_post_is_answered_alike(system: System, body: str, lines: tuple[str, ...], pieces: int) -> None:
    stream = system.create_stream()
    token = system.token("ann")
    head = [
        f"POST /v1/streams/{stream}/comments HTTP/1.1",
        "Host: test",
        f"Content-Length: {len(body)}",
        *(line.replace("TOKEN", token) for line in lines),
    ]
    request = "\r\n".join(head) + "\r\n"
    here = ask(system, request + "\r\n" + body, pieces)
    there = ask(system, request + ODD + "\r\n" + body, pieces)
    # With a key the second is the repetition of the first: the answers are the same to the byte.
    assert here == there


def test_requests_of_all_kinds_share_a_connection(system: System) -> None:
    stream = system.create_stream()
    token = system.token("ann")
    with connect(system) as connection:
        for number in range(3):
            body = f'{{"text":"number {number}"}}'
            post = (
                f"POST /v1/streams/{stream}/comments HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            )
            connection.sendall(post.encode())
            assert read_response(connection)[0] == 202
        connection.sendall(f"GET /v1/streams/{stream} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        assert read_response(connection)[0] == 200
        connection.sendall((subscribe(stream) + "\r\n").encode())
        status, headers, first = read_response(connection)
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert first.count(b'"text":"number') == 3
        system.post(stream, "after the hand-off")
        while b"after the hand-off" not in first:
            part = connection.recv(65536)
            assert part
            first += part


def test_pipelined_posts_are_answered_in_order(system: System) -> None:
    stream = system.create_stream()
    token = system.token("ann")
    posts = ""
    for number in range(5):
        body = f'{{"text":"number {number}"}}'
        posts += (
            f"POST /v1/streams/{stream}/comments HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
    posts += "GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    with connect(system) as connection:
        connection.sendall(posts.encode())
        data = b""
        while part := connection.recv(65536):
            data += part
    assert data.count(b"HTTP/1.1 202 ") == 5
    assert data.endswith(b"ok\n")
    with system.watch(stream) as viewer:
        assert viewer.texts() == [f"number {number}" for number in range(5)]


SUBSCRIBE = "GET /v1/streams/STREAM/comments/subscribe HTTP/1.1\r\nHost: test\r\n"
POST = (
    "POST /v1/streams/STREAM/comments HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer TOKEN\r\nIdempotency-Key: k\r\n"
)
BODY = '{"text":"hello"}'


@pytest.mark.parametrize("is_slow", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        SUBSCRIBE + "\r\n",
        # pipelined
        SUBSCRIBE + "\r\n" + SUBSCRIBE + "\r\n",
        f"{POST}Content-Length: {len(BODY)}\r\n\r\n{BODY}" * 2,
        # oversized
        SUBSCRIBE + "X: " + "x" * 20_000 + "\r\n\r\n",
        SUBSCRIBE.replace("subscribe", "subscribe?last_event_id=" + "x" * 20_000) + "\r\n",
        f"{POST}X: {'x' * 20_000}\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}",
        f"{POST}Content-Length: 20000\r\n\r\n{' ' * 20_000}",
        # malformed
        "GET /v1/streams/STREAM/comments/subscribe HTTP/1.1\r\n\r\n",
        SUBSCRIBE + "Bad Header\r\n\r\n",
        SUBSCRIBE + "Content-Length: x\r\n\r\n",
        SUBSCRIBE.replace("HTTP/1.1", "HTTP/3.7") + "\r\n",
        SUBSCRIBE.replace("/v1", "/v1 ") + "\r\n",
        SUBSCRIBE.replace("\r\n", "\n") + "\n",
        f"{POST}Content-Length: -1\r\n\r\n",
        f"{POST}Content-Length: 3\r\nContent-Length: 4\r\n\r\n{{}}",
        f"{POST}Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        # unusual, but in order
        f"{POST}Transfer-Encoding: chunked\r\n\r\n{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n",
        f"{POST}Content-Type: text/plain\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}",
        SUBSCRIBE + "Content-Length: 5\r\n\r\nhello",
        SUBSCRIBE.replace("/v1", "http://test/v1") + "\r\n",
        SUBSCRIBE.replace("STREAM", "nobody-knows") + "\r\n",
        SUBSCRIBE.replace("STREAM", "a%2Fb") + "\r\n",
        SUBSCRIBE.replace("STREAM", "%ff") + "\r\n",
        SUBSCRIBE.replace("subscribe", "subscribers") + "\r\n",
        SUBSCRIBE.replace("GET", "PUT") + "\r\n",
        SUBSCRIBE.replace("comments/subscribe", "feed") + "\r\n",
    ],
)
def test_whatever_is_said_is_answered_as_if_hypercorn_had_had_it_from_the_start(
    system: System, watched: str, said: str, is_slow: bool
) -> None:
    data = said.replace("STREAM", watched).replace("TOKEN", system.token("ann")).encode("latin-1")
    here, there = (answered(system, data, is_slow, reused) for reused in (False, True))
    assert here == there


@pytest.fixture(scope="module")
def watched(system: System) -> Iterator[str]:
    """A stream that the edge knows, so that the door could seat who asks for it."""
    stream = system.create_stream()
    with system.watch(stream):
        yield stream


def answered(system: System, said: bytes, is_slow: bool, reused: bool) -> tuple[int, dict[str, str], bytes]:
    """The first answer, without what differs each time."""
    with connect(system) as connection:
        if reused:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
            assert read_response(connection)[0] == 200
        size = 1 if is_slow else len(said)
        with suppress(ConnectionError):  # refused before its end
            for begin in range(0, min(len(said), 500), size):
                connection.sendall(said[begin : begin + size])
            connection.sendall(said[max(500, size) :])
        status, headers, body = read_response(connection)
    return status, headers, re.sub(rb'"viewers":\d+', b"", without_jitter(body)).partition(b"event: viewers")[0]


@pytest.mark.parametrize(
    "request_text",
    [
        "NONSENSE\r\n\r\n",
        "GET /v1/streams/x/comments/subscribe HTTP/1.1\r\n\r\n",
        "GET /v1/streams/x/comments/subscribe HTTP/1.1\r\nHost: test\r\nBad Header\r\n\r\n",
        "POST /v1/streams/x/comments HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/streams/x/comments HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        "GET /v1/streams/x/comments/subscribe HTTP/1.1\r\nHost: test\r\nX: " + "x" * 20_000 + "\r\n\r\n",
    ],
)
def test_a_malformed_request_is_refused_and_disturbs_nobody(system: System, request_text: str) -> None:
    stream = system.create_stream()
    with system.watch(stream) as viewer, connect(system) as connection:
        connection.sendall(request_text.encode())
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 4"), answer[:100]
        system.post(stream, "undisturbed")
        viewer.until(lambda v: v.texts() == ["undisturbed"], "the next comment")


def test_a_mute_connection_and_a_slow_one_hold_nobody_up(system: System) -> None:
    stream = system.create_stream()
    with connect(system) as slow, connect(system), system.watch(stream) as viewer:
        slow.sendall(b"GET /v1/streams/")
        system.post(stream, "on time")
        viewer.until(lambda v: v.texts() == ["on time"], "the comment", timeout_s=3)
        slow.sendall(f"{stream}/comments/subscribe HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        assert read_response(slow)[0] == 200


@pytest.mark.parametrize(
    "said",
    [
        "GET /livez HTTP/1.1\r\nHost: test\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: test\r\n\r\nGET /live",
        "NONSENSE\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: test\r\n\r\n" * 3,
        "GET /v1/streams/STREAM/comments/subscribe HTTP/1.1\r\nHost: test\r\n\r\n" * 3,
        "GET /v1/streams/STREAM/comments/subscribe HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
def test_the_descriptors_of_those_who_go_in_the_middle_come_back(system: System, said: str) -> None:
    stream = system.create_stream()
    with system.watch(stream) as viewer:
        before = system.edge.descriptors()
        connections = [connect(system) for _ in range(20)]
        for connection in connections:
            connection.sendall(said.replace("STREAM", stream).encode())
        eventually(lambda: select.select(connections, [], [], 0)[0] == connections, "all are answered")
        for number, connection in enumerate(connections):
            (reset, shut)[number % 2](connection)
        # Hypercorn lets an idle client think for 75 seconds, and these are none.
        eventually(lambda: system.edge.descriptors() <= before, "no descriptor is left", timeout_s=10)
        system.post(stream, "undisturbed")
        viewer.until(lambda v: v.texts() == ["undisturbed"], "the next comment")


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def shut(connection: socket.socket) -> None:
    """Says that it has no more to say, and reads on to the end."""
    connection.shutdown(socket.SHUT_WR)
    with connection, suppress(ConnectionError):
        while connection.recv(65536):
            pass


def test_one_that_takes_nothing_of_its_answers_does_not_keep_the_edge_from_ending(system: System) -> None:
    stream = system.create_stream()
    for number in range(20):
        system.post(stream, f"{number}" + "x" * 480)
    with system.service("edge", "-unread", edge_drain_s="0") as edge, socket.socket() as connection:
        host, port = edge.address.split(":")
        # The kernels hold little for it, here and there.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        connection.connect((host, int(port)))
        eventually(lambda: system.client.get(f"http://{edge.address}/readyz").status_code == 200, "the edge is ready")
        connection.sendall(f"GET /v1/streams/{stream}/comments HTTP/1.1\r\nHost: test\r\n\r\n".encode() * 200)
        eventually(lambda: unsent(edge, connection) > 10_000, "the answers wait for it")
        assert edge.stop(timeout_s=10) == 0


def unsent(edge: Service, connection: socket.socket) -> int:
    """What the edge's kernel holds for a connection, bytes (proc(5), /proc/net/tcp)."""
    ends = f":{int(edge.address.split(':')[1]):04X} 0100007F:{connection.getsockname()[1]:04X}"
    lines = [line for line in Path("/proc/net/tcp").read_text().splitlines() if ends in line]
    return int(lines[0].split()[4].split(":")[0], 16) if lines else 0
