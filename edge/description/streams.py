"""Streams and their moderation, described."""

from edge.description.parts import USER, Answer, Json, body_of, json_answer, operation, parameter, query, whole
from edge.routes.moderation import PinComment, Pinned
from edge.routes.streams import ChangeStream, CreateStream, EndStream, StreamPage
from edge.shapes import StreamShape
from livecomments.errors import Reason

STREAM = "/v1/streams/{stream_id}"
STREAMS_TAG = "Streams"
MODERATION_TAG = "Moderation"

ALWAYS = (Reason.INVALID_FIELD, Reason.OVERLOADED)
READS = (*ALWAYS, Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.STREAM_NOT_FOUND)
_RULES = (*READS, Reason.NOT_CONFIRMED, Reason.DRAINING)
BODIES = (Reason.MALFORMED_BODY, Reason.BODY_TOO_LARGE)

_TITLE = {"title": "The final"}


def streams() -> Json:
    """Paths of streams."""
    stream_id = [parameter("stream_id")]
    return {
        "/v1/streams": {
            "get": operation(
                "listStreams", "List streams, newest first",
                {200: json_answer("A page of streams. Private ones are listed to who may watch them.", StreamPage)},
                (*ALWAYS, Reason.BAD_PAGE_TOKEN, Reason.UNAUTHENTICATED), tag=STREAMS_TAG,
                parameters=[
                    query("state", {"type": "string", "enum": ["live", "ended"]}, "Only these."),
                    query("limit", whole(1, 500, 50), "Streams on a page, at most."),
                    parameter("pagination_token"),
                ],
            ),
            "post": operation(
                "createStream", "Create a stream",
                {201: json_answer("It is live now, and its creator's.", StreamShape, {"Location": _LOCATION})},
                (
                    *ALWAYS, *BODIES, Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.STREAM_EXISTS,
                    Reason.NOT_CONFIRMED, Reason.DRAINING,
                ),
                tag=STREAMS_TAG, security=USER, body=body_of(CreateStream, {"stream_id": "final", **_TITLE}),
                description="For a token with the role host. A repeat with the same values is answered as the first.",
            ),
        },
        STREAM: {
            "parameters": stream_id,
            "get": operation(
                "getStream", "Read a stream", {200: json_answer("The stream.", StreamShape)}, READS, tag=STREAMS_TAG,
            ),
            "patch": operation(
                "changeStream", "Change a stream", {200: json_answer("The stream as it is now.", StreamShape)},
                (*_RULES, *BODIES, Reason.STREAM_ENDED), tag=STREAMS_TAG, security=USER,
                body=body_of(ChangeStream, {"slow_mode_s": 30}), description="What is not given stays as it is.",
            ),
        },
        f"{STREAM}/end": {
            "parameters": stream_id,
            "post": operation(
                "endStream", "End a stream", {200: json_answer("The stream as it is now.", StreamShape)},
                (*_RULES, *BODIES), tag=STREAMS_TAG, security=USER,
                body=body_of(EndStream, {"notice_s": 60}, required=False),
                description="At once, or after a notice; with notice_s 0 it also ends one that has notice.",
            ),
        },
    }  # fmt: skip


def moderation() -> Json:
    """Paths of what hosts and moderators do."""
    comment_gone = Reason.COMMENT_NOT_FOUND
    done = {204: Answer("Done, or as it was already.")}
    return {
        f"{STREAM}/comments/{{comment_id}}": {
            "parameters": [parameter("stream_id"), parameter("comment_id")],
            "delete": operation(
                "deleteComment", "Delete a comment, for everyone and for ever", done, (*_RULES, comment_gone),
                tag=MODERATION_TAG, security=USER, description="An author may delete its own.",
            ),
        },
        f"{STREAM}/pinned": {
            "parameters": [parameter("stream_id")],
            "put": operation(
                "pinComment", "Pin a comment, in place of the one before",
                {200: json_answer("What is pinned now.", Pinned)},
                (*_RULES, *BODIES, comment_gone, Reason.STREAM_ENDED),
                tag=MODERATION_TAG, security=USER,
                body=body_of(PinComment, {"comment_id": "019aa3f0-5a3c-7b1e-8000-000000000001"}),
            ),
            "delete": operation(
                "unpinComment", "Take the pin away", done, (*_RULES, Reason.STREAM_ENDED), tag=MODERATION_TAG,
                security=USER,
            ),
        },
        f"{STREAM}/bans/{{user_id}}": {
            "parameters": [parameter("stream_id"), parameter("user_id")],
            "put": operation(
                "banUser", "Refuse a user's posts in this stream", done, _RULES, tag=MODERATION_TAG, security=USER
            ),
            "delete": operation("unbanUser", "Lift a ban", done, _RULES, tag=MODERATION_TAG, security=USER),
        },
    }  # fmt: skip


_LOCATION: Json = {
    "description": "Where the stream is.",
    "required": True,
    "schema": {"type": "string", "format": "uri-reference"},
}
