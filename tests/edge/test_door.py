"""What the door does by itself with a connection; what it answers is tested from outside."""

import socket
from contextlib import ExitStack
from types import SimpleNamespace
from typing import cast

import pytest
import trio
import trio.testing

from edge.broadcast import Broadcast
from edge.door import Door
from edge.section import Arrival, Section
from edge.state import Edge
from livecomments.listening import listen

pytestmark = pytest.mark.anyio
REQUEST = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"
SUBSCRIBE = b"GET /v1/streams/a/comments/subscribe HTTP/1.1\r\nHost: test\r\n\r\n"


async def test_a_connection_that_was_accepted_before_its_request_is_passed_on_with_it_and_not_before() -> None:
    passed_on = trio.Event()
    read: list[bytes | bytearray] = []

    async def serve(stream: trio.abc.HalfCloseableStream) -> None:
        passed_on.set()
        async with stream:
            read.append(await stream.receive_some())

    edge = cast("Edge", SimpleNamespace(origins=frozenset(), room=1))
    # Not prepared: it tells of connections that have no request yet, as the kernel does in a storm.
    with listen("EDGE_LISTEN", "127.0.0.1:0") as listener, trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Door(edge, listener, serve).run, nursery)
            with socket.create_connection(listener.getsockname()) as client:
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert len(nursery.child_tasks) == 3, "the door's two, and the one that waits"
                assert not passed_on.is_set()
                client.sendall(REQUEST)
                while not read:
                    await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.cancel_scope.cancel()
    assert read == [REQUEST]


async def test_of_those_who_come_together_no_more_are_seated_than_there_is_room_for() -> None:
    passed_on: list[bytes | bytearray] = []

    async def serve(stream: trio.abc.HalfCloseableStream) -> None:
        async with stream:
            passed_on.append(await stream.receive_some())
            await stream.send_all(b"full")

    broadcast = Broadcast(1 << 16, 15)
    section = Section(broadcast, b"*")

    class EveryoneIsWelcome:
        def answer(self, fd: int, _: bytes) -> Arrival:
            return Arrival(fd, section, b"come in")

    edge = cast("Edge", SimpleNamespace(origins=frozenset(), room=2, broadcast=broadcast))
    with ExitStack() as opened, trio.fail_after(10):
        listener = opened.enter_context(listen("EDGE_LISTEN", "127.0.0.1:0"))
        clients = [opened.enter_context(socket.create_connection(listener.getsockname())) for _ in range(3)]
        for client in clients:
            client.sendall(SUBSCRIBE)
            client.setblocking(False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(broadcast.run)
            door = Door(edge, listener, serve)
            door.__dict__["_reception"] = EveryoneIsWelcome()
            nursery.start_soon(door.run, nursery)
            heard = []
            for client in clients:
                await trio.lowlevel.wait_readable(client)
                heard.append(client.recv(100))
            nursery.cancel_scope.cancel()
    assert heard == [b"come in", b"come in", b"full"]
    assert passed_on == [SUBSCRIBE]
