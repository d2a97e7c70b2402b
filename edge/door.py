"""The door: where connections come in. It answers a plain subscribe on the spot and passes everything else on.

Hypercorn and Quart cost 900 µs and 32 KB a join; here a join is one accept, one read, one parse and one write. Those
who come together are let in together, each step for all of them before the next (see ``Broadcast.seat``). What is
answered here is decided by the same function as behind Quart; whatever is not a complete, plain subscribe that can be
admitted soon goes to Hypercorn with the bytes already read, so that it alone words refusals.
"""

import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing, suppress

import trio

from edge import metrics
from edge.accept import ACCEPTS_PER_TURN, accept_into, as_socket, waiting
from edge.plain_http import given_back, size_of
from edge.post_connection import PostConnection
from edge.reception import GET, WATCH, Reception
from edge.section import Arrival
from edge.state import Edge
from edge.subscribe import NotYet, prepare
from livecomments.errors import Refusal

REQUEST_MAX_BYTES = 16 * 1024
REST_S = 5.0
"""How long a request, or the rest of one that may be a subscribe, may take to arrive; then Hypercorn waits for it."""
PREPARE_S = 1.0
"""How long a subscribe is kept here while its stream or what was missed is asked for; then it waits with Hypercorn."""

_POST = b"POST /v1/streams/"

_ACCEPTED = metrics.joins.labels("accepted")
"""Looked up once: it took 3 µs a join."""

Serve = Callable[[trio.abc.HalfCloseableStream], Awaitable[None]]


class Door:
    """Accepts on a listening socket; ``serve`` takes the connections that are not a subscriber's."""

    def __init__(self, edge: Edge, listener: socket.socket, serve: Serve) -> None:
        self._edge = edge
        self._reception = Reception(edge)
        self._listener = listener
        self._serve = serve
        self._late: deque[tuple[int, bytes]] = deque()
        """Those whose request has come after they were accepted: a storm's all come at once."""
        self._is_late = trio.Event()

    async def run(self, nursery: trio.Nursery) -> None:
        """Accepts for ever; what it passes on runs in ``nursery``."""
        nursery.start_soon(self._let_in, nursery)
        await accept_into(lambda fds: self._take(fds, nursery), self._listener)

    async def take_waiting(self, nursery: trio.Nursery) -> None:
        """Accepts those that wait already, before the socket is closed."""
        async with aclosing(waiting(self._listener)) as connections:
            async for fd in connections:
                self._take([fd], nursery)

    def _take(self, fds: Iterable[int], nursery: trio.Nursery) -> None:
        """Reads what has come from each; answers it when it is whole."""
        requests: list[tuple[int, bytes]] = []
        for fd in fds:
            data = _read(fd, REQUEST_MAX_BYTES)
            if data is None:
                # Nothing there yet: a slow client, or one of a storm. Then the kernel answers with SYN cookies, which
                # know nothing of TCP_DEFER_ACCEPT: of 10,000 that came at once, most took Hypercorn's 900 µs.
                nursery.start_soon(self._wait_for_rest, fd, b"")
            elif not data:
                os.close(fd)
            elif _is_partial(data):
                nursery.start_soon(self._wait_for_rest, fd, data)
            else:
                requests.append((fd, data))
        self._answer_all(requests, nursery)

    async def _wait_for_rest(self, fd: int, data: bytes) -> None:
        try:
            with trio.move_on_after(REST_S):
                while not data or _is_partial(data):
                    await trio.lowlevel.wait_readable(fd)
                    # Not a byte more: what Hypercorn is given must not be too much for it already.
                    part = _read(fd, REQUEST_MAX_BYTES - len(data))
                    if part == b"":
                        os.close(fd)
                        return
                    data += part or b""
        except BaseException:
            os.close(fd)
            raise
        self._late.append((fd, data))
        self._is_late.set()

    async def _let_in(self, nursery: trio.Nursery) -> None:
        """Answers those whose request came late, no more of them at a time than are accepted."""
        try:
            while True:
                await self._is_late.wait()
                self._is_late = trio.Event()
                while self._late:
                    count = min(len(self._late), ACCEPTS_PER_TURN)
                    self._answer_all([self._late.popleft() for _ in range(count)], nursery)
                    await trio.lowlevel.checkpoint()
        finally:
            for fd, _ in self._late:
                os.close(fd)

    def _answer_all(self, requests: Iterable[tuple[int, bytes]], nursery: trio.Nursery) -> None:
        """Seats the plain subscribers, all at once (see Broadcast.seat), and has the others answered."""
        arrivals: list[Arrival] = []
        room = self._edge.room
        for fd, data in requests:
            if data.startswith(_POST):
                nursery.start_soon(self._take_posts, fd, data)
                continue
            answered = self._reception.answer(fd, data) if len(arrivals) < room else None
            if isinstance(answered, Arrival):
                arrivals.append(answered)
            else:
                nursery.start_soon(self._go_on, fd, data, answered)
        if arrivals:
            self._seat(arrivals)

    def _seat(self, arrivals: list[Arrival]) -> None:
        self._edge.broadcast.seat(arrivals)
        _ACCEPTED.inc(len(arrivals))

    async def _take_posts(self, fd: int, data: bytes) -> None:
        await PostConnection(self._edge, self._serve).run(as_socket(self._listener, fd), data)

    async def _go_on(self, fd: int, data: bytes, answered: NotYet | None) -> None:
        """Answers a request that could not be answered at once, or passes it on."""
        if answered is not None:
            try:
                # What is refused is worded by the one who words all refusals.
                with suppress(Refusal), trio.move_on_after(PREPARE_S):
                    await prepare(self._edge.feeds, answered)
            except BaseException:
                os.close(fd)
                raise
            if self._edge.room and isinstance(arrival := self._reception.answer(fd, data), Arrival):
                self._seat([arrival])
                return
        await self._serve(given_back(as_socket(self._listener, fd), data))


def _read(fd: int, most: int) -> bytes | None:
    """What has come; None when nothing has yet, empty when nothing will any more."""
    try:
        return os.read(fd, most)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _is_partial(data: bytes) -> bool:
    """It may become one of those that are answered here, but is not complete yet."""
    if data.startswith(GET) and data.endswith(b"\r\n\r\n"):
        return False  # nearly all: the rest takes 2 µs
    if not 0 < len(data) < REQUEST_MAX_BYTES:
        return False
    # Some end their lines with a bare line feed, which Hypercorn takes.
    is_head_partial = b"\r\n\r\n" not in data and b"\n\n" not in data
    if data.startswith(WATCH) and not is_head_partial:
        size = size_of(data)
        return size is not None and len(data) < size <= REQUEST_MAX_BYTES
    return (is_head_partial and data.startswith((GET, WATCH))) or GET.startswith(data) or WATCH.startswith(data)
