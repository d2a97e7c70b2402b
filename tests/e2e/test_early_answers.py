"""Requests that are answered before their body has come: the connection serves the next one, or says that it ends."""

import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from urllib.parse import urlsplit

import pytest

from tests.system import System

EARLY = [
    ("POST /nowhere", "application/json", 404),
    ("POST /livecomments.v1.StreamService/GetStream", "application/json", 415),
    ("PUT /v1/streams/STREAM/comments", "application/json", 405),
    ("POST /v1/streams", "application/json", 401),
    ("GET /livez", "text/plain", 200),
]


@pytest.fixture
def connection(system: System) -> Iterator[socket.socket]:
    host, port = urlsplit(system.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield opened


def send_head(connection: socket.socket, first_line: str, content_type: str, length: int) -> None:
    head = f"{first_line} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode())


def answer(connection: socket.socket) -> HTTPResponse:
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response


@pytest.mark.parametrize(("first_line", "content_type", "status"), EARLY)
def test_a_body_that_comes_after_the_answer_was_clear_leaves_the_connection_open(
    system: System, connection: socket.socket, first_line: str, content_type: str, status: int
) -> None:
    first_line = first_line.replace("STREAM", system.create_stream())
    for _ in range(2):
        send_head(connection, first_line, content_type, 2)
        # By its answer the edge has long read the head, too.
        assert system.client.get(f"{system.url}/livez").status_code == 200
        connection.sendall(b"{}")
        response = answer(connection)
        assert (response.status, response.getheader("connection")) == (status, None)


@pytest.mark.parametrize(("first_line", "content_type", "status"), EARLY)
def test_a_body_that_does_not_come_ends_the_connection_and_the_answer_says_so(
    system: System, connection: socket.socket, first_line: str, content_type: str, status: int
) -> None:
    send_head(connection, first_line.replace("STREAM", system.create_stream()), content_type, 2)
    response = answer(connection)
    assert (response.status, response.getheader("connection")) == (status, "close")
    assert connection.recv(1) == b""
