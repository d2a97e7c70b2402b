"""What the door does by itself with a connection; what it answers is tested from outside."""

import socket
from types import SimpleNamespace
from typing import cast

import pytest
import trio
import trio.testing

from edge.door import Door
from edge.state import Edge
from livecomments.listening import listen

pytestmark = pytest.mark.anyio
REQUEST = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"


async def test_a_connection_that_was_accepted_before_its_request_is_passed_on_with_it_and_not_before() -> None:
    passed_on = trio.Event()
    read: list[bytes | bytearray] = []

    async def serve(stream: trio.abc.HalfCloseableStream) -> None:
        passed_on.set()
        async with stream:
            read.append(await stream.receive_some())

    edge = cast("Edge", SimpleNamespace(origins=frozenset()))
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
