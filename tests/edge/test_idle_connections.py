"""Connections on which nothing is said any more are closed, whatever became of their clients."""

import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import cast

import trio
import trio.testing
from quart_trio import QuartTrio

from edge.addresses import Proxies
from edge.credentials import Credentials
from edge.headers import Origins
from edge.post_connection import KEEP_ALIVE_S as POSTS_KEEP_ALIVE_S
from edge.post_connection import PostConnection
from edge.routes.feed import say_farewell
from edge.server import KEEP_ALIVE_S, Server
from edge.state import Edge
from livecomments.tokens import Identity

POST = b'POST /v1/streams/a/comments HTTP/1.1\r\nHost: test\r\nContent-Length: 12\r\n\r\n{"text":"a"}'
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
OPENING = (
    b"GET /feed HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MORE_THAN_WAITS = 50
"""Pieces: Hypercorn's queue and Quart's hold ten each."""

Serve = Callable[[socket.socket], Awaitable[None]]
Talk = Callable[[trio.SocketStream], Awaitable[None]]


def between(serve: Serve, talk: Talk) -> None:
    """Lets a client talk with a server over TCP; time jumps whenever nothing happens for a moment."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            served, _ = listener.accept()
        served.setblocking(False)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(client))
        with trio.fail_after(1_000):
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(serve, served)
                await talk(stream)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0.2))


async def ended_after_s(stream: trio.SocketStream) -> float:
    """How long the other side stays silent before it closes the connection."""
    began = trio.current_time()
    assert await stream.receive_some() == b""
    return trio.current_time() - began


async def read_through(stream: trio.SocketStream, last: bytes) -> None:
    data = bytearray()
    while not data.endswith(last):
        part = await stream.receive_some()
        assert part, f"closed behind {bytes(data)!r}"
        data += part


def hypercorn(app: QuartTrio) -> Serve:
    async def serve(connection: socket.socket) -> None:
        await Server(app).serve(trio.SocketStream(trio.socket.from_stdlib_socket(connection)))

    return serve


def test_one_on_which_posts_were_answered_is_closed_when_no_other_comes() -> None:
    async def is_not_asked(_: object) -> None:
        raise AssertionError("it is a plain post")

    async def serve(connection: socket.socket) -> None:
        nobody = Origins(frozenset(), with_cookies=False)
        edge = SimpleNamespace(
            origins=nobody,
            credentials=Credentials("", nobody),
            authenticator=SimpleNamespace(identify=lambda _: Identity()),
            proxies=Proxies(0, "x-forwarded-for"),
            settings=SimpleNamespace(edge_body_max=1_000),
            is_draining=False,
            require_not_draining=lambda: None,
        )
        await PostConnection(cast("Edge", edge), is_not_asked).run(connection, POST)

    async def talk(stream: trio.SocketStream) -> None:
        answer = await stream.receive_some()
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert await ended_after_s(stream) <= POSTS_KEEP_ALIVE_S

    between(serve, talk)


def test_one_on_which_hypercorn_has_answered_is_closed_when_no_other_request_comes() -> None:
    app = QuartTrio("test")

    @app.get("/")
    async def index() -> str:
        return "well"

    async def talk(stream: trio.SocketStream) -> None:
        for _ in range(2):
            await stream.send_all(GET)
            await read_through(stream, b"well")
        assert await ended_after_s(stream) <= KEEP_ALIVE_S + 1

    between(hypercorn(app), talk)


def test_one_that_was_told_farewell_is_closed_however_much_it_still_says() -> None:
    app = QuartTrio("test")

    @app.websocket("/feed")
    async def feed() -> None:
        await say_farewell(b"farewell")

    async def talk(stream: trio.SocketStream) -> None:
        await stream.send_all(OPENING)
        await read_through(stream, b"farewell")
        for _ in range(MORE_THAN_WAITS):
            await stream.send_all(b"x")
            await trio.testing.wait_all_tasks_blocked()
        assert await ended_after_s(stream) < 60

    between(hypercorn(app), talk)
