"""Server-sent events of one stream among others: each says which stream it belongs to.

What an event tells is the same for every session that watches the stream and is written once; the id is a session's
own. So the bytes here are a form: each cursor stands between marks, and ``fill_in`` puts a session's in its place.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache

from edge.encodings.sse import SSE, ServerSentEvents
from edge.events import FeedEvent
from edge.shapes import encode

_MARK = b"\0"
"""JSON holds no control characters, and a cursor none either."""


class StreamEvents(ServerSentEvents):
    """An Encoding; its events have to be filled in. Made by ``stream_events``."""

    name = "session"

    def __init__(self, stream_id: str) -> None:
        self._opening = b'{"stream_id":%b,"data":' % encode(stream_id)

    def begin(self, retry_ms: int) -> bytes:  # noqa: ARG002 (as the Encoding has it)
        """Nothing: the session itself has begun before."""
        return b""

    def events(self, events: Iterable[FeedEvent]) -> bytes:
        """Some events, in order, as a form."""
        return b"".join(
            b"event: %b\ndata: %b%b}\n%b\n" % (event.name, self._opening, event.data, _marked(event.cursor))
            for event in events
        )


@lru_cache(maxsize=1024)
def stream_events(stream_id: str) -> StreamEvents:
    """The encoding of one stream's events, the same one for all sessions."""
    return StreamEvents(stream_id)


def fill_in(form: bytes, move: Callable[[bytes], bytes]) -> bytes:
    """The events as one session gets them; ``move`` takes each cursor, in order, and gives the session's then."""
    pieces = form.split(_MARK)
    for place in range(1, len(pieces), 2):
        pieces[place] = b"id: %b\n" % move(pieces[place])
    return b"".join(pieces)


def has_cursor(form: bytes) -> bool:
    """Whether any of the events has a place in the log."""
    return _MARK in form


def session_event(session_id: str, stream_ids: list[str], cursor: bytes) -> bytes:
    """Which streams a session has from here on."""
    data = encode({"session_id": session_id, "streams": stream_ids})
    return SSE.events([FeedEvent(b"session", data, cursor)])


def _marked(cursor: bytes) -> bytes:
    return _MARK + cursor + _MARK if cursor else b""
