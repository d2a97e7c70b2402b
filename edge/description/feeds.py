"""The live feeds, described: server-sent events, a WebSocket, many streams on one connection."""

from collections.abc import Sequence

from edge.description.components import STREAM_ID
from edge.description.events import FEED_EVENTS, SESSION_PROSE, feed_prose, session_example, sse_example
from edge.description.parts import JSON, Answer, Json, operation, parameter, query, text
from edge.description.streams import ALWAYS, READS, STREAM
from edge.encodings.sse import CONTENT_TYPE
from livecomments.errors import Reason

FEEDS_TAG = "Live feeds"

_NAMES = tuple(event.name for event in FEED_EVENTS)
_FEEDS = (*READS, Reason.BAD_CURSOR, Reason.DRAINING)
_NOT_KEPT: Json = {"Cache-Control": {"required": True, "schema": {"const": "no-cache"}}}
_UPGRADE: Json = {"Upgrade": {"required": True, "schema": {"const": "websocket"}}}
_RESUME = (
    "\n\nEach event of the log has an `id`, its cursor. Who comes back with the last one gets what was missed, once "
    "and in order, from any edge; `recovered` in the snapshot says so."
)
_OVER = "The stream has ended, and the cursor has seen all of it. It stops a native EventSource."


def feeds(most_streams: int) -> Json:
    """Paths of the feeds; a session has at most ``most_streams``."""
    return {
        f"{STREAM}/comments/subscribe": {
            "parameters": [parameter("stream_id")],
            "get": operation(
                "subscribe", "Watch a stream as server-sent events",
                {200: _event_stream(_NAMES, feed_prose(), sse_example()), 204: Answer(_OVER)}, _FEEDS, tag=FEEDS_TAG,
                parameters=[parameter(name) for name in ("Last-Event-ID", "last_event_id", "all", "ticket")],
                description="The first event is `snapshot`, then come the others as they happen." + _RESUME
                + "\n\nA native EventSource that can't be served at the moment gets 200 with a `retry:` and the end "
                "instead of 503, after which it would never come back.",
            ),
        },
        f"{STREAM}/feed": {"parameters": [parameter("stream_id")], "get": _socket()},
        "/v1/events": {"get": _many(most_streams)},
        "/v1/sessions/{session_id}/streams/{stream_id}": {
            "parameters": [parameter("session_id"), parameter("stream_id")],
            "put": operation(
                "addStream", "Add a stream to an open session", {204: Answer("Its snapshot comes on the session.")},
                (*READS, Reason.SESSION_NOT_FOUND), tag=FEEDS_TAG, description="May be repeated.",
            ),
            "delete": operation(
                "dropStream", "Drop a stream from an open session", {204: Answer("Nothing more comes of it.")},
                (*ALWAYS, Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.SESSION_NOT_FOUND), tag=FEEDS_TAG,
                description="May be repeated.",
            ),
        },
    }  # fmt: skip


def _event_stream(names: Sequence[str], description: str, example: str) -> Answer:
    schema: Json = {
        "type": "object",
        "description": "One event of the stream.",
        "required": ["event", "data"],
        "properties": {
            "event": {"enum": names},
            "id": {"type": "string", "description": "The cursor, of what has a place in the log."},
            "data": {"type": "string", "contentMediaType": JSON},
        },
    }
    return Answer(description, {CONTENT_TYPE: {"schema": schema, "example": example}}, _NOT_KEPT)


def _many(most: int) -> Json:
    named: Json = {"type": "array", "items": STREAM_ID, "minItems": 1, "maxItems": most}
    place = text(12 * 1024)
    return operation(
        "watchMany", "Watch many streams as server-sent events on one connection",
        {
            200: _event_stream(("session", *_NAMES), f"- `session`: {SESSION_PROSE}", session_example()),
            204: Answer("All streams have ended, and the cursor has seen all of it."),
        },
        _FEEDS, tag=FEEDS_TAG,
        parameters=[
            {
                "name": "stream", "in": "query", "schema": named, "explode": True,
                "description": "A stream to begin with, once for each. Not looked at where there is a cursor; one of "
                "both is needed.",
            },
            {
                "name": "Last-Event-ID", "in": "header", "schema": place,
                "description": "Cursor: which streams, and where in each. Not the cursor of a single feed.",
            },
            query("last_event_id", place, "The same; the header wins."),
        ],
        description="A session that can't have all of its streams is refused as a whole. Streams are added and dropped "
        "while it is open." + _RESUME,
    )  # fmt: skip


def _socket() -> Json:
    return operation(
        "feed", "Watch a stream over a WebSocket, and post on the same connection",
        {
            101: Answer(
                'Text frames `{"event", "id"?, "data"}` with the names of the server-sent events. A client may send '
                '`{"post": {"request_id", "text", "lag_ms"?, "meta"?}}`; it is answered by the event `posted`, or by '
                "`error` (reason, detail, errors?, retry_after_ms?), with its request_id."
                "\n\nClosed with 1000 when the stream has ended, 1001 when this edge goes away, 1002, 1003, 1007 "
                "and 1009 for what is no such frame, 1008 for too many, for a token that has ended, and with a reason "
                "of the error table when nobody may watch this any more, 1013 for a client that can't keep up."
            ),
            426: Answer("The request does not open a WebSocket.", headers=_UPGRADE),
        },
        _FEEDS, tag=FEEDS_TAG, parameters=[parameter("cursor"), parameter("all"), parameter("ticket")],
        description="Pages of foreign origins are refused unless they are allowed (EDGE_CORS_ORIGINS)." + _RESUME,
    )  # fmt: skip
