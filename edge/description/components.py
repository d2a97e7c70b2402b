"""What several operations share: schemas of the forms, parameters, and how callers say who they are."""

import msgspec

from edge.description.parts import Json, header, path_text, query, text
from edge.intake import PostComment, Posted
from edge.pages import RecentPage, ReplayPage
from edge.polling import PollAnswer
from edge.routes.credentials import AskTicket, Ticket
from edge.routes.moderation import PinComment, Pinned
from edge.routes.streams import ChangeStream, CreateStream, EndStream, StreamPage
from edge.shapes import COMMENT_ID_PATTERN, CommentShape, StreamShape
from livecomments.errors import Reason

CURSOR_OR_NONE: Json = {"type": "string", "pattern": "^([a-z0-9]{1,32}-(0|[1-9][0-9]{0,18}))?$"}
STREAM_ID: Json = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "examples": ["final"]}

_FORMS = (
    AskTicket, ChangeStream, CommentShape, CreateStream, EndStream, PinComment, Pinned, PollAnswer, PostComment, Posted,
    RecentPage, ReplayPage, StreamPage, StreamShape, Ticket,
)  # fmt: skip
_CURSOR: Json = CURSOR_OR_NONE | {"examples": ["kx3v9a1b-42"]}


def components(cookie: str) -> Json:
    """The document's ``components``; ``cookie`` may carry a token, where it has a name."""
    _, schemas = msgspec.json.schema_components(_FORMS, ref_template="#/components/schemas/{name}")
    schemas["Problem"] = _problem()
    schemas[ChangeStream.__name__]["minProperties"] = 1
    # The form lets through what the proto holds: core says what is good.
    schemas[PostComment.__name__]["properties"]["lag_ms"] |= {"minimum": 0, "maximum": 60_000}
    schemes: Json = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Claims: sub (the user's id), name, role (viewer, moderator, host), streams, exp, iss, aud.",
        }
    }
    if cookie:
        schemes["cookie"] = {"type": "apiKey", "in": "cookie", "name": cookie}
    return {
        "schemas": schemas,
        "parameters": _parameters(),
        "responses": {"HeadTooLarge": {"description": "The request's line and headers have more than 16 KiB."}},
        "securitySchemes": schemes,
    }


def _parameters() -> Json:
    return {
        "stream_id": path_text("stream_id", STREAM_ID, "Chosen by who created the stream, or made for it."),
        "comment_id": path_text(
            "comment_id", {"type": "string", "pattern": COMMENT_ID_PATTERN}, "A comment's id, a UUIDv7."
        ),
        "user_id": path_text(
            "user_id", {"type": "string", "minLength": 1, "maxLength": 128}, "A user's id, as tokens have it in sub."
        ),
        "session_id": path_text(
            "session_id", {"type": "string", "minLength": 1, "maxLength": 128}, "Of the last event session."
        ),
        "all": query(
            "all",
            {"type": "string", "enum": ["0", "1"], "default": "0"},
            "1: all comments of a feed that is sampled because no one could read it; for the stream's host and its "
            "moderators.",
        ),
        "ticket": query(
            "ticket",
            {"type": "string"},
            "Of POST /v1/tickets, for this stream and purpose. An Authorization header wins.",
        ),
        "Last-Event-ID": header("Last-Event-ID", _CURSOR, "Cursor: the last id that was seen; empty: none."),
        "last_event_id": query("last_event_id", _CURSOR, "The same, for clients that set no header; the header wins."),
        "cursor": query("cursor", _CURSOR, "The last id that was seen."),
        "pagination_token": query(
            "pagination_token", text(256), "next_pagination_token of the page before; all else as it was."
        ),
        "Idempotency-Key": header(
            "Idempotency-Key",
            {"type": "string", "pattern": "^[!#-~]{1,128}$", "examples": ["7f0c"]},
            "Makes a repeat safe for two minutes: it gets the first answer. Quoted or bare.",
        ),
    }


def _problem() -> Json:
    return {
        "type": "object",
        "description": "RFC 9457 problem details.",
        "required": ["type", "title", "status", "reason"],
        "properties": {
            "type": {
                "type": "string", "format": "uri-reference", "description": "Where the reason is explained.",
            },
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "reason": {"enum": [str(reason) for reason in Reason], "description": "Stable: match on this."},
            "detail": {"type": "string", "description": "For people."},
            "errors": {
                "type": "array",
                "description": "Each bad field.",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": {"type": "string", "description": "JSON pointer into the body: #/text."},
                        "detail": {"type": "string"},
                    },
                },
            },
        },
    }  # fmt: skip
