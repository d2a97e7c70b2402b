"""Connections that Hypercorn serves: what goes wrong with one stays with it."""

import pytest
import trio
from hypercorn.protocol import ProtocolWrapper
from quart_trio import QuartTrio

from edge.server import Server

pytestmark = pytest.mark.anyio


async def test_a_connection_that_fails_is_closed_and_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: ProtocolWrapper, event: object) -> None:
        raise RuntimeError(f"not expected: {event}")

    monkeypatch.setattr(ProtocolWrapper, "handle", fail)
    server = Server(QuartTrio("test"))
    async with trio.open_nursery() as nursery:
        with trio.fail_after(5):
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            async with listener:
                client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
                nursery.start_soon(server.serve, await listener.accept())
            async with client:
                await client.send_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                assert await client.receive_some() == b""
