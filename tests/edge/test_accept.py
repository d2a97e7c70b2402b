"""What becomes of a connection before anything is read from it."""

import socket
from contextlib import aclosing

import pytest

from edge.accept import accepted, prepare
from livecomments.listening import listen

pytestmark = pytest.mark.anyio


async def test_a_viewer_inherits_from_the_listener_how_small_writes_and_silence_are_treated() -> None:
    with listen("EDGE_LISTEN", "127.0.0.1:0") as listener:
        prepare(listener)
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            async with aclosing(accepted(listener)) as connections:
                with await anext(connections) as connection:
                    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
                    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
                    assert not connection.getblocking()
                    assert connection.type == socket.SOCK_STREAM
                    assert connection.recv(100) == b"GET / HTTP/1.1\r\n\r\n"
                    assert connection.getpeername() == client.getsockname()
