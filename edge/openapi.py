"""The API's description, OpenAPI 3.1: made from the same forms that check the requests."""

from typing import Any

import msgspec

from edge.grpc_web import BINARY, TEXT
from edge.intake import PostComment, Posted
from edge.pages import RecentPage, ReplayPage
from edge.polling import PollAnswer
from edge.reasons import MEANINGS
from edge.routes.moderation import PinComment
from edge.routes.streams import ChangeStream, CreateStream, EndStream, StreamPage
from edge.shapes import CommentShape, StreamShape
from edge.watch import PATH
from livecomments.errors import Reason

Json = dict[str, Any]

_FORMS = (
    ChangeStream, CommentShape, CreateStream, EndStream, PinComment, PollAnswer, PostComment, Posted, RecentPage,
    ReplayPage, StreamPage, StreamShape,
)  # fmt: skip

_STREAM_ID: Json = {
    "name": "stream_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}
_ALL: Json = {
    "name": "all",
    "in": "query",
    "description": "1: all comments of a feed that is sampled because no one could read it; for the stream's host and "
    "its moderators.",
    "schema": {"enum": ["0", "1"], "default": "0"},
}
_ALWAYS = (Reason.INVALID_FIELD, Reason.OVERLOADED)
_WRITES = (*_ALWAYS, Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.BODY_TOO_LARGE, Reason.MALFORMED_BODY)
_POSTS = (
    *_WRITES, Reason.BANNED, Reason.STREAM_NOT_FOUND, Reason.STREAM_ENDED, Reason.KEY_REUSED, Reason.USER_RATE,
    Reason.ADDRESS_RATE, Reason.SLOW_MODE, Reason.DRAINING, Reason.NOT_CONFIRMED,
)  # fmt: skip
_READS = (*_ALWAYS, Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.STREAM_NOT_FOUND)


def document() -> Json:
    """The whole description."""
    _, schemas = msgspec.json.schema_components(_FORMS, ref_template="#/components/schemas/{name}")
    schemas["Problem"] = _problem_schema()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Live comments",
            "version": "1.0.0",
            "description": "Comments under a broadcast: post, watch live, resume, replay.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"bearer": []}],
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _paths() -> Json:
    stream, comments = "/v1/streams/{stream_id}", "/v1/streams/{stream_id}/comments"
    return {
        "/v1/streams": {
            "get": _operation(
                "List streams, newest first",
                {200: StreamPage},
                (*_ALWAYS, Reason.BAD_PAGE_TOKEN, Reason.UNAUTHENTICATED),
                query=[
                    _query("state", {"enum": ["live", "ended"]}),
                    _query("limit", _integer(1, 500, 50)),
                    _query("pagination_token", {"type": "string"}),
                ],
            ),
            "post": _operation(
                "Create a stream", {201: StreamShape}, (*_WRITES, Reason.STREAM_EXISTS), body=CreateStream
            ),
        },
        stream: {
            "parameters": [_STREAM_ID],
            "get": _operation("Read a stream", {200: StreamShape}, _READS),
            "patch": _operation(
                "Change a stream", {200: StreamShape}, (*_WRITES, Reason.STREAM_NOT_FOUND), body=ChangeStream
            ),
        },
        f"{stream}/end": {
            "parameters": [_STREAM_ID],
            "post": _operation("End a stream", {200: StreamShape}, (*_WRITES, Reason.STREAM_NOT_FOUND), body=EndStream),
        },
        comments: {
            "parameters": [_STREAM_ID],
            "post": _operation(
                "Post a comment; 202 once it is durable", {202: Posted}, _POSTS, body=PostComment,
                query=[
                    {
                        "name": "Idempotency-Key",
                        "in": "header",
                        "description": "Makes a repeat safe for two minutes.",
                        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
                    }
                ],
            ),
            "get": _replay(),
        },
        f"{comments}/recent": {
            "parameters": [_STREAM_ID],
            "get": _operation(
                "Read the latest comments, and backwards", {200: RecentPage}, (*_READS, Reason.BAD_PAGE_TOKEN),
                query=[_query("limit", _integer(1, 200, 100)), _query("cursor", {"type": "string"})],
            ),
        },
        f"{comments}/subscribe": {
            "parameters": [_STREAM_ID],
            "get": _subscribe(),
        },
        f"{stream}/feed": {
            "parameters": [_STREAM_ID],
            "get": _feed(),
        },
        "/v1/events": {
            "get": _events(),
        },
        "/v1/sessions/{session_id}/streams/{stream_id}": {
            "parameters": [_path_text("session_id"), _STREAM_ID],
            "put": _operation(
                "Add a stream to an open session; repeatable", {204: None},
                (*_READS, Reason.SESSION_NOT_FOUND),
            ),
            "delete": _operation(
                "Drop a stream from an open session; repeatable", {204: None},
                (*_ALWAYS, Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.SESSION_NOT_FOUND),
            ),
        },
        PATH: {
            "post": _watch(),
        },
        f"{comments}/{{comment_id}}": {
            "parameters": [_STREAM_ID, _path_text("comment_id")],
            "delete": _operation(
                "Delete a comment", {204: None}, (*_WRITES, Reason.STREAM_NOT_FOUND, Reason.COMMENT_NOT_FOUND)
            ),
        },
        f"{stream}/pinned": {
            "parameters": [_STREAM_ID],
            "put": _operation(
                "Pin a comment", {200: {"type": "object", "properties": {"comment": _ref(CommentShape)}}},
                (*_WRITES, Reason.STREAM_NOT_FOUND, Reason.COMMENT_NOT_FOUND), body=PinComment,
            ),
            "delete": _operation("Take the pin away", {204: None}, (*_WRITES, Reason.STREAM_NOT_FOUND)),
        },
        f"{stream}/bans/{{user_id}}": {
            "parameters": [_STREAM_ID, _path_text("user_id")],
            "put": _operation("Ban a user from posting", {204: None}, (*_WRITES, Reason.STREAM_NOT_FOUND)),
            "delete": _operation("Lift a ban", {204: None}, (*_WRITES, Reason.STREAM_NOT_FOUND)),
        },
    }  # fmt: skip


def _replay() -> Json:
    operation = _operation(
        "Replay a window of the timeline; or, with since, what came after a cursor (long-poll)",
        {200: {"anyOf": [_ref(ReplayPage), _ref(PollAnswer)]}},
        (*_READS, Reason.BAD_PAGE_TOKEN, Reason.BAD_CURSOR, Reason.DRAINING),
        query=[
            _query("since", {"type": "string", "description": "Cursor; empty for a snapshot"}),
            _ALL,
            _query("wait", {"type": "number", "minimum": 0, "maximum": 60, "default": 25}),
            _query("start_time", {"type": "number", "minimum": 0, "default": 0}),
            _query("duration", {"type": "number", "exclusiveMinimum": 0, "maximum": 3600, "default": 60}),
            _query("limit", _integer(1, 1000, 200)),
            _query("pagination_token", {"type": "string"}),
            {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}},
        ],
    )
    operation["responses"]["200"]["headers"] = {
        "ETag": {
            "description": "Of a complete window of a public stream, asked for without a token: it may be kept for a "
            "while, and changes when a comment is deleted.",
            "schema": {"type": "string"},
        }
    }
    operation["responses"]["304"] = {"description": "What If-None-Match names is still what there is."}
    return operation


def _subscribe() -> Json:
    operation = _operation(
        "Watch a stream as server-sent events", {}, (*_READS, Reason.BAD_CURSOR, Reason.DRAINING),
        query=[
            {"name": "Last-Event-ID", "in": "header", "description": "Cursor.", "schema": {"type": "string"}},
            _query("last_event_id", {"type": "string", "description": "The same; the header wins."}),
            _ALL,
        ],
    )  # fmt: skip
    operation["responses"]["200"] = {
        "description": "snapshot first, then new_comment (an array), delete_comment, pinned_comment, unpinned_comment, "
        "stream_updated, stream_ending, stream_ended, viewers, omitted, degraded",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
    operation["responses"]["204"] = {"description": "The stream has ended, and the cursor has seen all of it."}
    return operation


def _events() -> Json:
    operation = _operation(
        "Watch many streams as server-sent events on one connection", {}, (*_READS, Reason.BAD_CURSOR, Reason.DRAINING),
        query=[
            {
                "name": "stream",
                "in": "query",
                "description": "A stream to begin with, once for each, at most EDGE_SESSION_MAX_STREAMS. Not looked at "
                "where there is a cursor.",
                "schema": {"type": "array", "items": _STREAM_ID["schema"], "minItems": 1},
                "explode": True,
            },
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "Cursor: which streams, and where in each.",
                "schema": {"type": "string"},
            },
            _query("last_event_id", {"type": "string", "description": "The same; the header wins."}),
        ],
    )  # fmt: skip
    operation["responses"]["200"] = {
        "description": 'session first, and after each change of its streams: {"session_id", "streams"}. Then each '
        'stream\'s own events, under the names that they have in its feed: {"stream_id", "data"}.',
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
    operation["responses"]["204"] = {"description": "All streams have ended, and the cursor has seen all of it."}
    return operation


def _feed() -> Json:
    operation = _operation(
        "Watch a stream over a WebSocket, and post on the same connection", {},
        (*_READS, Reason.BAD_CURSOR, Reason.DRAINING),
        query=[_query("cursor", {"type": "string", "description": "The last id that was seen."}), _ALL],
    )  # fmt: skip
    operation["responses"]["101"] = {
        "description": 'Text frames {"event", "id"?, "data"} with the names of the server-sent events. A client may '
        'send {"post": {"request_id", "text", "lag_ms"?, "meta"?}}; it is answered by the event posted, or error ('
        "reason, detail, errors?, retry_after_ms?), with its request_id. Closed with 1000 when the stream has ended, "
        "1001 when this edge goes away, 1002, 1003, 1007, 1009 for what is no such frame, 1008 for too many, "
        "for a token that has ended, and with a reason of the error table when nobody may watch this any more, "
        "1013 for a client that can't keep up."
    }
    return operation


def _watch() -> Json:
    content = {
        content_type: {"schema": {"type": "string"}} for content_type in (BINARY.content_type, TEXT.content_type)
    }
    return {
        "summary": "Watch a stream by gRPC-web: FeedService.Watch of protos/livecomments/v1",
        "parameters": [
            {
                "name": "grpc-timeout",
                "in": "header",
                "description": "When the call ends with DEADLINE_EXCEEDED, if nothing else has ended it.",
                "schema": {"type": "string", "pattern": "^[0-9]{1,8}[HMSmun]$"},
            }
        ],
        "requestBody": {"required": True, "description": "One WatchRequest, framed.", "content": content},
        "responses": {
            "200": {
                "description": "WatchResponse messages, then trailers, which say how the call ended: OK for a stream "
                "that has ended, UNAVAILABLE with RetryInfo for an edge that goes away or a client that can't keep up, "
                "and for a refusal its row of the error table, as google.rpc.Status.",
                "content": content,
            },
            "415": {"description": "The Content-Type is none of gRPC-web's."},
        },
    }


def _operation(
    summary: str,
    answers: dict[int, type | Json | None],
    reasons: tuple[Reason, ...],
    *,
    body: type | None = None,
    query: list[Json] | None = None,
) -> Json:
    operation: Json = {"summary": summary, "responses": {}}
    if query:
        operation["parameters"] = query
    if body is not None:
        operation["requestBody"] = {
            "required": body is not EndStream,
            "content": {"application/json": {"schema": _ref(body)}},
        }
    for status, form in answers.items():
        response: Json = {"description": summary}
        if form is not None:
            schema = form if isinstance(form, dict) else _ref(form)
            response["content"] = {"application/json": {"schema": schema}}
        operation["responses"][str(status)] = response
    for reason in reasons:
        found = operation["responses"].setdefault(str(reason.http_status), {"description": ""})
        text = f"{reason}: {MEANINGS[reason][0]}"
        found["description"] = f"{found['description']} {text}".strip()
        found["content"] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return operation


def _ref(form: type) -> Json:
    return {"$ref": f"#/components/schemas/{form.__name__}"}


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "schema": schema}


def _path_text(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _integer(least: int, most: int, default: int) -> Json:
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}


def _problem_schema() -> Json:
    return {
        "type": "object",
        "description": "RFC 9457 problem details",
        "required": ["type", "title", "status", "reason"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "reason": {"enum": [str(reason) for reason in Reason]},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
                },
            },
        },
    }
