"""What becomes of a connection before anything is read from it."""

import socket
from contextlib import ExitStack, aclosing
from itertools import pairwise

import pytest
import trio

from edge.accept import ACCEPTS_PER_TURN, accepted, prepare
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
                    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 128 * 1024
                    assert not connection.getblocking()
                    assert connection.type == socket.SOCK_STREAM
                    assert connection.recv(100) == b"GET / HTTP/1.1\r\n\r\n"
                    assert connection.getpeername() == client.getsockname()


async def test_a_storm_of_connections_leaves_the_loop_to_others_in_between() -> None:
    count = 5 * ACCEPTS_PER_TURN
    taken = 0
    seen_by_others = [0]

    async def watch_others() -> None:
        while taken < count:
            await trio.lowlevel.checkpoint()
            seen_by_others.append(taken)

    with ExitStack() as opened:
        listener = opened.enter_context(listen("EDGE_LISTEN", "127.0.0.1:0"))
        for _ in range(count):
            opened.enter_context(socket.create_connection(listener.getsockname()))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_others)
            async with aclosing(accepted(listener)) as connections:
                while taken < count:
                    opened.enter_context(await anext(connections))
                    taken += 1
    assert max(after - before for before, after in pairwise(seen_by_others)) <= ACCEPTS_PER_TURN
