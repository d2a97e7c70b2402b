"""Posting and reading comments, described."""

from edge.description.components import CURSOR_OR_NONE
from edge.description.parts import (
    JSON,
    USER,
    Answer,
    Json,
    body_of,
    header,
    json_answer,
    operation,
    parameter,
    query,
    ref,
    whole,
)
from edge.description.streams import ALWAYS, BODIES, READS, STREAM
from edge.intake import PostComment, Posted
from edge.pages import RecentPage, ReplayPage
from edge.polling import WAIT_MAX_S, PollAnswer
from livecomments.errors import Reason

COMMENTS = f"{STREAM}/comments"
COMMENTS_TAG = "Comments"

_POSTS = (
    *ALWAYS, *BODIES, Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.BANNED, Reason.STREAM_NOT_FOUND,
    Reason.STREAM_ENDED, Reason.KEY_REUSED, Reason.USER_RATE, Reason.ADDRESS_RATE, Reason.SLOW_MODE, Reason.DRAINING,
    Reason.NOT_CONFIRMED,
)  # fmt: skip


def comments() -> Json:
    """Paths of comments."""
    return {
        COMMENTS: {
            "parameters": [parameter("stream_id")],
            "post": operation(
                "postComment", "Post a comment", {202: json_answer("It is durable, and will be shown.", Posted)},
                _POSTS, tag=COMMENTS_TAG, security=USER, parameters=[parameter("Idempotency-Key")],
                body=body_of(PostComment, {"text": "What a goal!", "lag_ms": 2400}),
                description="Answered once the comment is durable. After a 503, or without an answer, repeat it with "
                "the same Idempotency-Key: it is stored once.",
            ),
            "get": _replay(),
        },
        f"{COMMENTS}/recent": {
            "parameters": [parameter("stream_id")],
            "get": operation(
                "recentComments", "Read the latest comments, and backwards",
                {200: json_answer("The latest, oldest first.", RecentPage)}, (*READS, Reason.BAD_PAGE_TOKEN),
                tag=COMMENTS_TAG,
                parameters=[
                    query("limit", whole(1, 200, 100), "Comments, at most."),
                    query("cursor", {"type": "string", "maxLength": 256}, "oldest_cursor of the page before."),
                ],
                description="To go on live without a gap, subscribe with the answer's cursor.",
            ),
        },
    }  # fmt: skip


def _replay() -> Json:
    cache = {
        "ETag": {
            "description": "Of a complete window of a public stream, asked for without a token: it may be kept for a "
            "while, and changes when a comment is deleted.",
            "schema": {"type": "string"},
        }
    }
    window_or_poll = {JSON: {"schema": {"anyOf": [ref(ReplayPage), ref(PollAnswer)]}}}
    return operation(
        "replayComments", "Replay a window of the recording; or, with since, wait for what is new",
        {
            200: Answer("The window's comments, in order; or the events after the cursor.", window_or_poll, cache),
            304: Answer("What If-None-Match names is still what there is.", headers=cache),
        },
        (*READS, Reason.BAD_PAGE_TOKEN, Reason.BAD_CURSOR, Reason.DRAINING), tag=COMMENTS_TAG,
        parameters=[
            query("start_time", _seconds(0, 999_999_999, 0), "Where it begins, seconds from the stream's start."),
            query("duration", _seconds(0.001, 3_600, 60), "How long it is, seconds."),
            query("limit", whole(1, 1_000, 200), "Comments on a page, or events of a poll, at most."),
            parameter("pagination_token"),
            query("since", CURSOR_OR_NONE, "Long-poll: the cursor of the answer before; empty for a snapshot."),
            query("wait", _seconds(0, WAIT_MAX_S, 25), "Long-poll: how long to wait for something new, seconds."),
            parameter("all"),
            header("If-None-Match", {"type": "string"}, "ETag of the window that one has."),
        ],
        description="Either a window (start_time, duration, limit, pagination_token) or a long-poll (since, wait, "
        "limit, all): a parameter of the other is refused. An answer to a poll holds whole messages of the log, so it "
        "may go beyond limit by what one holds; ask again after poll_after_ms, with its cursor.",
    )  # fmt: skip


def _seconds(least: float, most: float, default: float) -> Json:
    return {"type": "number", "minimum": least, "maximum": most, "default": default}
