"""What becomes of a connection before anything is read from it."""

import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from itertools import pairwise

import pytest
import trio
import trio.testing

from edge.accept import ACCEPTS_PER_TURN, GATHER_S, accept, accept_into, as_socket, prepare
from livecomments.listening import listen

pytestmark = pytest.mark.anyio
AcceptWay = Callable[[socket.socket], Awaitable[socket.socket]]


async def accepted_as_object(listener: socket.socket) -> socket.socket:
    return await accept(listener)


async def accepted_as_descriptor(listener: socket.socket) -> socket.socket:
    taken: list[int] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept_into, taken.extend, listener)
        while not taken:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    return as_socket(listener, taken[0])


@pytest.mark.parametrize("way", [accepted_as_object, accepted_as_descriptor])
async def test_a_viewer_inherits_from_the_listener_how_small_writes_and_silence_are_treated(way: AcceptWay) -> None:
    with listen("EDGE_LISTEN", "127.0.0.1:0") as listener, trio.fail_after(10):
        prepare(listener)
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with await way(listener) as connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 128 * 1024
                assert not os.get_blocking(connection.fileno())
                assert not os.get_inheritable(connection.fileno())
                assert not connection.getblocking()
                assert connection.type == socket.SOCK_STREAM
                assert connection.recv(100) == b"GET / HTTP/1.1\r\n\r\n"
                assert connection.getpeername() == client.getsockname()


async def test_a_storm_of_connections_leaves_the_loop_to_others_in_between() -> None:
    count = 5 * ACCEPTS_PER_TURN
    taken: list[int] = []
    seen_by_others = [0]
    with ExitStack() as opened:
        listener = opened.enter_context(listen("EDGE_LISTEN", "127.0.0.1:0"))
        for _ in range(count):
            opened.enter_context(socket.create_connection(listener.getsockname()))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept_into, taken.extend, listener)
            while len(taken) < count:
                await trio.lowlevel.checkpoint()
                seen_by_others.append(len(taken))
            nursery.cancel_scope.cancel()
    for fd in taken:
        os.close(fd)
    # Whose turn is first is left to chance: two of its turns may follow each other.
    assert max(after - before for before, after in pairwise(seen_by_others)) <= 2 * ACCEPTS_PER_TURN


def test_who_comes_first_is_taken_at_once_and_those_who_follow_together() -> None:
    clock = trio.testing.MockClock()
    turns: list[int] = []

    def take(fds: list[int]) -> None:
        turns.append(len(fds))
        for fd in fds:
            os.close(fd)

    async def main() -> None:
        with listen("EDGE_LISTEN", "127.0.0.1:0") as listener:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(accept_into, take, listener)
                for _ in range(4):
                    socket.create_connection(listener.getsockname()).close()
                    await trio.testing.wait_all_tasks_blocked(0.01)
                assert turns == [1]
                clock.jump(GATHER_S)
                await trio.testing.wait_all_tasks_blocked(0.01)
                nursery.cancel_scope.cancel()

    trio.run(main, clock=clock)
    assert turns == [1, 3]
