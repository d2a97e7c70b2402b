"""What the door answers by itself: from a request's bytes to the first bytes of a viewer. Neither reads nor writes."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from edge.conversation import Conversation
from edge.encodings import Encoding
from edge.encodings.websocket import WEBSOCKET
from edge.grpc_web import forms_of
from edge.headers import Origins, feed_encoding, feed_headers, shared_headers
from edge.plain_http import Head, date_now, plain_request, query_of, text_of
from edge.requests import Query
from edge.section import Arrival
from edge.state import Edge
from edge.subscribe import SUBSCRIBE_PARAMETERS, Admission, NotYet, Wish, decide_now, read_cursor, read_selection
from edge.tickets import PARAMETER, Purpose
from edge.upgrade import is_opening, read_opening, switching_protocols
from edge.watch import PATH, read_watch
from livecomments.errors import Refusal
from livecomments.telemetry import log
from livecomments.tokens import Identity

GET = b"GET /v1/streams/"
WATCH = f"POST {PATH} ".encode()
_SUBSCRIBE = re.compile(rb"/v1/streams/([^/]+)/comments/subscribe")
_TICKET = f"{PARAMETER}=".encode()
_FEED = re.compile(rb"/v1/streams/([^/]+)/feed")


class Reception:
    """Answers the plain subscribes of one edge."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._origins = edge.origins

    def answer(self, fd: int, data: bytes) -> Arrival | NotYet | None:
        """A plain subscriber, to be seated before anything else happens, or what that has to wait for.

        None for everything else, also for what is refused: all refusals are worded in one place.
        """
        head = plain_request(data) if data.startswith((GET, WATCH)) else None
        if head is None:
            return None
        headers = head.headers
        try:
            if data.startswith(WATCH):
                return self._watch(fd, head)
            if b"content-length" in headers:
                return None
            if b"upgrade" in headers:
                return self._open_socket(fd, head)
            return self._subscribe(fd, head)
        except Refusal:
            return None
        except Exception:
            # Whatever one request holds, it takes nobody else with it.
            log().exception("the door could not answer a request")
            return None

    def _subscribe(self, fd: int, head: Head) -> Arrival | NotYet | None:
        headers = head.headers
        # A ticket is one viewer's: to remember it would put out what serves many.
        read = _read_subscribe if _TICKET in head.target else _remembered_subscribe
        call = read(head.target, headers.get(b"last-event-id"), headers.get(b"accept-encoding"))
        if call is None:
            return None
        edge, asking = self._edge, head.asking()
        identity = edge.ticket_holder(asking, call.ticket, call.stream_id, Purpose.SUBSCRIBE)
        if identity is None:
            identity = edge.authenticator.identify(edge.credentials.for_reading(asking))
        return self._admit(fd, head, identity, call.stream_id, call.wish)

    def _watch(self, fd: int, head: Head) -> Arrival | NotYet | None:
        forms = forms_of(head.text(b"content-type"), head.text(b"accept"))
        # Who is seated has no deadline of its own.
        if forms is None or b"grpc-timeout" in head.headers or b"upgrade" in head.headers:
            return None
        call = read_watch(forms, head.body)
        identity = self._edge.authenticator.identify(self._edge.credentials.for_changing(head.asking()))
        return self._admit(fd, head, identity, call.stream_id, call.wish)

    def _admit(self, fd: int, head: Head, identity: Identity, stream_id: str, wish: Wish) -> Arrival | NotYet | None:
        edge = self._edge
        admission = decide_now(edge.feeds, identity, stream_id, wish)
        if not isinstance(admission, Admission):
            return admission
        encoding = wish.encoding
        answer = _response_head(encoding, head.headers.get(b"origin"), self._origins, date_now())
        section = admission.topic.audience.section(encoding, wish.selection)
        return Arrival(fd, section, answer + encoding.frame(admission.first), edge.stay(identity))

    def _open_socket(self, fd: int, head: Head) -> Arrival | NotYet | None:
        edge = self._edge
        feed = _FEED.fullmatch(head.path) if is_opening(head.headers) else None
        if feed is None:
            return None
        stream_id = _unquoted(feed[1])
        opening = read_opening(edge, stream_id, head.query(), head.asking())
        admission = decide_now(edge.feeds, opening.identity, stream_id, opening.wish)
        if not isinstance(admission, Admission):
            return admission
        topic = admission.topic
        address = edge.proxies.viewer(head.text(edge.proxies.header.encode()))
        first = switching_protocols(head.headers[b"sec-websocket-key"]) + admission.first
        conversation = Conversation(edge, topic.stream_id, opening.identity, address)
        section = topic.audience.section(WEBSOCKET, opening.wish.selection)
        return Arrival(fd, section, first, edge.stay(opening.identity), conversation)


class _SubscribeCall(NamedTuple):
    stream_id: str
    wish: Wish
    ticket: str


def _read_subscribe(target: bytes, last_event_id: bytes | None, accept_encoding: bytes | None) -> _SubscribeCall | None:
    """What a GET asks for, by its target and headers; None when it is no subscribe. Raises Refusal(INVALID_FIELD)."""
    path, _, query_part = target.partition(b"?")
    subscribe = _SUBSCRIBE.fullmatch(path)
    if subscribe is None:
        return None
    query = Query(query_of(query_part), SUBSCRIBE_PARAMETERS)
    cursor = read_cursor(text_of(last_event_id), query)
    wish = Wish(cursor, feed_encoding(text_of(accept_encoding)), read_selection(query))
    return _SubscribeCall(_unquoted(subscribe[1]), wish, query.text(PARAMETER))


_remembered_subscribe = lru_cache(maxsize=512)(_read_subscribe)
"""Those who come at once ask for the same, and to read it took a sixth of a join's time."""


def _unquoted(part: bytes) -> str:
    return unquote(part.decode("latin-1"))


@lru_cache(maxsize=256)
def _response_head(encoding: Encoding, origin: bytes | None, origins: Origins, date: str) -> bytes:
    headers = [
        *feed_headers(encoding),
        *shared_headers(text_of(origin), origins),
        ("date", date),
        ("transfer-encoding", "chunked"),
    ]
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 200 \r\n{lines}\r\n".encode("latin-1")
