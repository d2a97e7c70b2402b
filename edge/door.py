"""The door: where connections come in. It answers a plain subscribe on the spot and passes everything else on.

Hypercorn and Quart cost 900 µs and 32 KB a join; here a join is one accept, one read, one parse and one write (22 µs in
the trial). What is answered here is decided by the same function as behind Quart; whatever is not a complete, plain
subscribe that can be admitted at once goes to Hypercorn with the bytes already read, so that it alone words refusals.
"""

import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from functools import lru_cache
from urllib.parse import unquote

import httptools
import trio

from edge import metrics
from edge.accept import accepted, waiting
from edge.conversation import Conversation
from edge.encodings import Encoding
from edge.encodings.websocket import WEBSOCKET
from edge.headers import event_stream_headers, feed_encoding, shared_headers
from edge.plain_http import Head, date_now, given_back
from edge.post_connection import PostConnection
from edge.requests import Query
from edge.state import Edge
from edge.subscribe import SUBSCRIBE_PARAMETERS, Wish, decide_now, read_selection
from edge.upgrade import forwarded_address, is_opening, read_opening, switching_protocols
from livecomments.errors import Refusal
from livecomments.telemetry import log

REQUEST_MAX_BYTES = 16 * 1024
REST_S = 5.0
"""How long the rest of a subscribe that arrived in part may take."""

_BEGINNING = b"GET /v1/streams/"
_POST = b"POST /v1/streams/"
_SUBSCRIBE = re.compile(rb"/v1/streams/([^/]+)/comments/subscribe")
_FEED = re.compile(rb"/v1/streams/([^/]+)/feed")
_NOT_PLAIN = frozenset({b"content-length", b"transfer-encoding", b"expect"})

Serve = Callable[[trio.abc.HalfCloseableStream], Awaitable[None]]


class Door:
    """Accepts on a listening socket; ``serve`` takes the connections that are not a subscriber's."""

    def __init__(self, edge: Edge, listener: socket.socket, serve: Serve) -> None:
        self._edge = edge
        self._listener = listener
        self._serve = serve

    async def run(self, nursery: trio.Nursery) -> None:
        """Accepts for ever; what it passes on runs in ``nursery``."""
        async with aclosing(accepted(self._listener)) as connections:
            async for connection in connections:
                self._take(connection, nursery)

    async def take_waiting(self, nursery: trio.Nursery) -> None:
        """Accepts those that wait already, before the socket is closed."""
        async with aclosing(waiting(self._listener)) as connections:
            async for connection in connections:
                self._take(connection, nursery)

    def _take(self, connection: socket.socket, nursery: trio.Nursery) -> None:
        data = b""
        # Nothing there yet: a client that waits to be spoken to, or a slow one. Hypercorn times it out.
        with suppress(BlockingIOError):
            try:
                data = connection.recv(REQUEST_MAX_BYTES)
            except ConnectionError:
                connection.close()
                return
            if not data:
                connection.close()
                return
        if data.startswith(_POST):
            nursery.start_soon(PostConnection(self._edge, self._serve).run, connection, data)
        elif _is_partial(data):
            nursery.start_soon(self._wait_for_rest, connection, data)
        elif not self._answer(connection, data):
            nursery.start_soon(self._serve, given_back(connection, data))

    async def _wait_for_rest(self, connection: socket.socket, data: bytes) -> None:
        with trio.move_on_after(REST_S):
            while _is_partial(data):
                await trio.lowlevel.wait_readable(connection)
                try:
                    part = connection.recv(REQUEST_MAX_BYTES)
                except ConnectionError:
                    part = b""
                if not part:
                    connection.close()
                    return
                data += part
        if not self._answer(connection, data):
            await self._serve(given_back(connection, data))

    def _answer(self, connection: socket.socket, data: bytes) -> bool:
        """Seats a plain subscriber; False for everything else."""
        head = _plain_get(data)
        if head is None or not self._edge.may_seat():
            return False
        path = head.target.partition(b"?")[0]
        try:
            if b"upgrade" in head.headers:
                feed = _FEED.fullmatch(path) if is_opening(head.headers) else None
                return feed is not None and self._open_socket(connection, head, _unquoted(feed[1]))
            subscribe = _SUBSCRIBE.fullmatch(path)
            return subscribe is not None and self._subscribe(connection, head, _unquoted(subscribe[1]))
        except Refusal:
            # Worded by the one who words all refusals.
            return False
        except Exception:
            # Whatever one request holds, it takes nobody else with it.
            log().exception("the door could not answer a request")
            return connection.fileno() < 0

    def _subscribe(self, connection: socket.socket, head: Head, stream_id: str) -> bool:
        edge = self._edge
        query = Query(head.query(), SUBSCRIBE_PARAMETERS)
        identity = edge.authenticator.identify(head.text(b"authorization"))
        cursor = head.text(b"last-event-id") or query.text("last_event_id")
        wish = Wish(cursor, feed_encoding(head.text(b"accept-encoding")), read_selection(query))
        admission = decide_now(edge.feeds, identity, stream_id, wish)
        if admission is None:
            return False
        origin = head.text(b"origin")
        head_bytes = _response_head(wish.encoding, origin, edge.origins, date_now())
        first = head_bytes + wish.encoding.frame(admission.first)
        admission.topic.audience.take_in(connection.detach(), wish.encoding, wish.selection, first)
        metrics.joins.labels("accepted").inc()
        return True

    def _open_socket(self, connection: socket.socket, head: Head, stream_id: str) -> bool:
        edge = self._edge
        origin, host = head.text(b"origin"), head.text(b"host")
        opening = read_opening(edge, head.query(), head.text(b"authorization"), origin, host)
        admission = decide_now(edge.feeds, opening.identity, stream_id, opening.wish)
        if admission is None:
            return False
        topic = admission.topic
        address = forwarded_address(edge, head.text(b"x-forwarded-for"))
        first = switching_protocols(head.headers[b"sec-websocket-key"]) + admission.first
        conversation = Conversation(edge, topic.stream_id, opening.identity, address)
        topic.audience.take_in(connection.detach(), WEBSOCKET, opening.wish.selection, first, conversation)
        metrics.joins.labels("accepted").inc()
        return True


def _is_partial(data: bytes) -> bool:
    """It may become a subscribe, but is not complete yet."""
    return (
        0 < len(data) < REQUEST_MAX_BYTES
        and (data.startswith(_BEGINNING) or _BEGINNING.startswith(data))
        and b"\r\n\r\n" not in data
    )


def _unquoted(part: bytes) -> str:
    return unquote(part.decode("latin-1"))


def _plain_get(data: bytes) -> Head | None:
    """The head of the one complete HTTP/1.1 GET that the bytes are, without a body and with nothing behind it."""
    if not data.startswith(_BEGINNING) or data.find(b"\r\n\r\n") + 4 != len(data):
        return None
    head = Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # the head is complete
    except httptools.HttpParserError:
        return None
    is_plain = (
        head.is_complete
        and not head.repeated
        and parser.get_http_version() == "1.1"
        and b"host" in head.headers
        and not head.headers.keys() & _NOT_PLAIN
    )
    return head if is_plain else None


@lru_cache(maxsize=256)
def _response_head(encoding: Encoding, origin: str | None, origins: frozenset[str], date: str) -> bytes:
    headers = [
        *event_stream_headers(encoding),
        *shared_headers(origin, origins),
        ("date", date),
        ("transfer-encoding", "chunked"),
    ]
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 200 \r\n{lines}\r\n".encode("latin-1")
