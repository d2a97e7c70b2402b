"""The door: where connections come in. It answers a plain subscribe on the spot and passes everything else on.

Hypercorn and Quart cost 900 µs and 32 KB a join; here a join is one accept, one read, one parse and one write (22 µs in
the trial). What is answered here is decided by the same function as behind Quart; whatever is not a complete, plain
subscribe that can be admitted soon goes to Hypercorn with the bytes already read, so that it alone words refusals.
"""

import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from functools import lru_cache
from urllib.parse import unquote

import trio

from edge import metrics
from edge.accept import ACCEPTS_PER_TURN, accepted, waiting
from edge.conversation import Conversation
from edge.encodings import Encoding
from edge.encodings.websocket import WEBSOCKET
from edge.grpc_web import forms_of
from edge.headers import feed_encoding, feed_headers, shared_headers
from edge.plain_http import Head, date_now, given_back, plain_request, size_of
from edge.post_connection import PostConnection
from edge.requests import Query
from edge.state import Edge
from edge.subscribe import SUBSCRIBE_PARAMETERS, Admission, NotYet, Wish, decide_now, prepare, read_selection
from edge.upgrade import is_opening, read_opening, switching_protocols
from edge.watch import PATH, read_watch
from livecomments.errors import Refusal
from livecomments.telemetry import log
from livecomments.tokens import Identity

REQUEST_MAX_BYTES = 16 * 1024
REST_S = 5.0
"""How long a request, or the rest of one that may be a subscribe, may take to arrive; then Hypercorn waits for it."""
PREPARE_S = 1.0
"""How long a subscribe is kept here while its stream or what was missed is asked for; then it waits with Hypercorn."""

_GET = b"GET /v1/streams/"
_WATCH = f"POST {PATH} ".encode()
_POST = b"POST /v1/streams/"
_SUBSCRIBE = re.compile(rb"/v1/streams/([^/]+)/comments/subscribe")
_FEED = re.compile(rb"/v1/streams/([^/]+)/feed")

_ACCEPTED = metrics.joins.labels("accepted")
"""Looked up once: it took 3 µs a join."""

Serve = Callable[[trio.abc.HalfCloseableStream], Awaitable[None]]


class Door:
    """Accepts on a listening socket; ``serve`` takes the connections that are not a subscriber's."""

    def __init__(self, edge: Edge, listener: socket.socket, serve: Serve) -> None:
        self._edge = edge
        self._origins = edge.origins
        self._listener = listener
        self._serve = serve
        self._arrived = trio.lowlevel.ParkingLot()
        """Those whose request has come after they were accepted: a storm's all come at once."""
        self._has_arrived = trio.Event()

    async def run(self, nursery: trio.Nursery) -> None:
        """Accepts for ever; what it passes on runs in ``nursery``."""
        nursery.start_soon(self._let_in)
        async with aclosing(accepted(self._listener)) as connections:
            async for connection in connections:
                self._take(connection, nursery)

    async def take_waiting(self, nursery: trio.Nursery) -> None:
        """Accepts those that wait already, before the socket is closed."""
        async with aclosing(waiting(self._listener)) as connections:
            async for connection in connections:
                self._take(connection, nursery)

    def _take(self, connection: socket.socket, nursery: trio.Nursery) -> None:
        try:
            data = connection.recv(REQUEST_MAX_BYTES)
        except BlockingIOError:
            # Nothing there yet: a slow client, or one of a storm. Then the kernel answers with SYN cookies, which know
            # nothing of TCP_DEFER_ACCEPT: of 10,000 that came at once, most took Hypercorn's 900 µs.
            nursery.start_soon(self._wait_for_rest, connection, b"")
            return
        except ConnectionError:
            data = b""
        if not data:
            connection.close()
            return
        if data.startswith(_POST):
            nursery.start_soon(PostConnection(self._edge, self._serve).run, connection, data)
        elif _is_partial(data):
            nursery.start_soon(self._wait_for_rest, connection, data)
        elif (answered := self._answer(connection, data)) is not True:
            nursery.start_soon(self._go_on, connection, data, answered)

    async def _let_in(self) -> None:
        """Answers those whose request came late, no more of them at a time than are accepted."""
        while True:
            await self._has_arrived.wait()
            self._has_arrived = trio.Event()
            while self._arrived:
                self._arrived.unpark(count=ACCEPTS_PER_TURN)
                await trio.lowlevel.checkpoint()

    async def _queue(self) -> None:
        self._has_arrived.set()
        await self._arrived.park()

    async def _wait_for_rest(self, connection: socket.socket, data: bytes) -> None:
        try:
            with trio.move_on_after(REST_S):
                while not data or _is_partial(data):
                    await trio.lowlevel.wait_readable(connection)
                    try:
                        # Not a byte more: what Hypercorn is given must not be too much for it already.
                        part = connection.recv(REQUEST_MAX_BYTES - len(data))
                    except ConnectionError:
                        part = b""
                    if not part:
                        connection.close()
                        return
                    data += part
            await self._queue()
        except BaseException:
            connection.close()
            raise
        if data.startswith(_POST):
            await PostConnection(self._edge, self._serve).run(connection, data)
        elif (answered := self._answer(connection, data)) is not True:
            await self._go_on(connection, data, answered)

    async def _go_on(self, connection: socket.socket, data: bytes, answered: NotYet | bool) -> None:
        """Answers a request that could not be answered at once, or passes it on."""
        if isinstance(answered, NotYet):
            try:
                # What is refused is worded by the one who words all refusals.
                with suppress(Refusal), trio.move_on_after(PREPARE_S):
                    await prepare(self._edge.feeds, answered)
            except BaseException:
                connection.close()
                raise
            answered = self._answer(connection, data)
        if answered is not True:
            await self._serve(given_back(connection, data))

    def _answer(self, connection: socket.socket, data: bytes) -> NotYet | bool:
        """Seats a plain subscriber, or says what that has to wait for; False for everything else."""
        head = plain_request(data) if data.startswith((_GET, _WATCH)) else None
        if head is None or not self._edge.room:
            return False
        path = head.target.partition(b"?")[0]
        try:
            if data.startswith(_WATCH):
                return self._watch(connection, head)
            if b"content-length" in head.headers:
                return False
            if b"upgrade" in head.headers:
                feed = _FEED.fullmatch(path) if is_opening(head.headers) else None
                return self._open_socket(connection, head, _unquoted(feed[1])) if feed else False
            subscribe = _SUBSCRIBE.fullmatch(path)
            return self._subscribe(connection, head, _unquoted(subscribe[1])) if subscribe else False
        except Refusal:
            # Worded by the one who words all refusals.
            return False
        except Exception:
            # Whatever one request holds, it takes nobody else with it.
            log().exception("the door could not answer a request")
            return connection.fileno() < 0

    def _subscribe(self, connection: socket.socket, head: Head, stream_id: str) -> NotYet | bool:
        edge = self._edge
        query = Query(head.query(), SUBSCRIBE_PARAMETERS)
        identity = edge.authenticator.identify(head.text(b"authorization"))
        cursor = head.text(b"last-event-id") or query.text("last_event_id")
        wish = Wish(cursor, feed_encoding(head.text(b"accept-encoding")), read_selection(query))
        return self._seat(connection, head, identity, decide_now(edge.feeds, identity, stream_id, wish))

    def _watch(self, connection: socket.socket, head: Head) -> NotYet | bool:
        edge = self._edge
        forms = forms_of(head.text(b"content-type"), head.text(b"accept"))
        # Who is seated has no deadline of its own.
        if forms is None or b"grpc-timeout" in head.headers or b"upgrade" in head.headers:
            return False
        call = read_watch(forms, head.body)
        identity = edge.authenticator.identify(head.text(b"authorization"))
        return self._seat(connection, head, identity, decide_now(edge.feeds, identity, call.stream_id, call.wish))

    def _seat(
        self, connection: socket.socket, head: Head, identity: Identity, admission: Admission | NotYet | None
    ) -> NotYet | bool:
        if not isinstance(admission, Admission):
            return admission or False
        encoding = admission.wish.encoding
        answer = _response_head(encoding, head.text(b"origin"), self._origins, date_now())
        first = answer + encoding.frame(admission.first)
        stay = self._edge.stay(identity)
        section = admission.topic.audience.section(encoding, admission.wish.selection)
        section.seat(connection.detach(), first, stay=stay)
        _ACCEPTED.inc()
        return True

    def _open_socket(self, connection: socket.socket, head: Head, stream_id: str) -> NotYet | bool:
        edge = self._edge
        origin, host = head.text(b"origin"), head.text(b"host")
        opening = read_opening(edge, head.query(), head.text(b"authorization"), origin, host)
        admission = decide_now(edge.feeds, opening.identity, stream_id, opening.wish)
        if not isinstance(admission, Admission):
            return admission or False
        topic = admission.topic
        address = edge.proxies.viewer(head.text(edge.proxies.header.encode()))
        first = switching_protocols(head.headers[b"sec-websocket-key"]) + admission.first
        conversation = Conversation(edge, topic.stream_id, opening.identity, address)
        stay = edge.stay(opening.identity)
        topic.audience.section(WEBSOCKET, opening.wish.selection).seat(connection.detach(), first, conversation, stay)
        _ACCEPTED.inc()
        return True


def _is_partial(data: bytes) -> bool:
    """It may become one of those that are answered here, but is not complete yet."""
    if data.startswith(_GET) and data.endswith(b"\r\n\r\n"):
        return False  # nearly all: the rest takes 2 µs
    if not 0 < len(data) < REQUEST_MAX_BYTES:
        return False
    # Some end their lines with a bare line feed, which Hypercorn takes.
    is_head_partial = b"\r\n\r\n" not in data and b"\n\n" not in data
    if data.startswith(_WATCH) and not is_head_partial:
        size = size_of(data)
        return size is not None and len(data) < size <= REQUEST_MAX_BYTES
    return (is_head_partial and data.startswith((_GET, _WATCH))) or _GET.startswith(data) or _WATCH.startswith(data)


def _unquoted(part: bytes) -> str:
    return unquote(part.decode("latin-1"))


@lru_cache(maxsize=256)
def _response_head(encoding: Encoding, origin: str | None, origins: frozenset[str], date: str) -> bytes:
    headers = [
        *feed_headers(encoding),
        *shared_headers(origin, origins),
        ("date", date),
        ("transfer-encoding", "chunked"),
    ]
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 200 \r\n{lines}\r\n".encode("latin-1")
