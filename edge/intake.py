"""A post's way in, whichever door it came through: checked, limited, sent to its core, and counted."""

import random
import time
from collections.abc import Callable
from typing import Annotated

import msgspec
import trio

from edge import metrics
from edge.requests import idempotency_key, read_json
from edge.shapes import CommentId, CursorText, Instant, rfc3339
from edge.state import Edge
from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity
from livecomments.v1 import comment_service_pb2 as rpc

LagMs = Annotated[
    int,
    msgspec.Meta(ge=-(2**31), le=2**31 - 1, description="How far behind live the author's player is."),
]
"""As much as the proto holds: core says what is good, and names it together with whatever else is wrong."""
UnixMs = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""As much as the proto holds: a client's clock may be wrong by any amount."""
# Its core checks it, after normalising: here it is only described.
_CONTROLS = r"\u0000-\u0009\u000b-\u001f\u007f-\u009f"
_PLAIN = rf"^[^{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*$"
CommentText = Annotated[
    str,
    msgspec.Meta(
        description="Stored as NFC, without the white space around it. Line feeds are the only control characters.",
        extra_json_schema={"minLength": 1, "maxLength": 500, "pattern": _PLAIN},
    ),
]
CommentMeta = Annotated[
    msgspec.Raw | msgspec.UnsetType,
    msgspec.Meta(
        description="At most 1 KiB, for your own use; comes with the comment.", extra_json_schema={"type": "object"}
    ),
]


class PostComment(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/streams/{id}/comments."""

    text: CommentText
    client_ts: Annotated[UnixMs, msgspec.Meta(description="The client's clock, Unix ms.")] = 0
    lag_ms: LagMs = 0
    meta: CommentMeta = msgspec.UNSET


class Posted(msgspec.Struct):
    """What a poster is told."""

    comment_id: CommentId
    posted_at: Instant
    offset_ms: Annotated[int, msgspec.Meta(description="posted_at, from the stream's start.")]
    cursor: CursorText


Draft = Callable[[rpc.PostCommentRequest], None]
"""Writes what a poster says into a post: all but its stream, and no request_id where none was given. Raises Refusal."""
Answer = Callable[[rpc.PostCommentResponse | Refusal], None]
"""Tells a poster: once, on the loop. It may neither wait nor raise."""

_ACCEPTED = metrics.posts.labels("accepted")


def draft_of(key: str | None, body: bytes) -> Draft:
    """A request's: its Idempotency-Key as it came, and its body."""

    def write(post: rpc.PostCommentRequest) -> None:
        if key is not None:
            post.request_id = idempotency_key(key)
        write_form(post, read_json(body, PostComment))

    return write


def write_form(post: rpc.PostCommentRequest, form: PostComment) -> None:
    """What a form says."""
    post.text = form.text
    post.lag_ms = form.lag_ms
    if form.meta is not msgspec.UNSET:
        post.meta_json = bytes(form.meta).decode()
    post.client_ts_ms = form.client_ts


def posted_shape(posted: rpc.PostCommentResponse) -> Posted:
    """What a poster is told in JSON."""
    comment = posted.comment
    return Posted(comment.comment_id, rfc3339(comment.posted_at_ms), comment.offset_ms, posted.cursor)


def take_post(edge: Edge, author: Identity, address: str, stream_id: str, draft: Draft, *, answer: Answer) -> None:
    """One comment, posted by ``author`` from ``address``; ``draft`` is read once its author may post at all.

    ``answer`` is called once the comment is durable or refused, maybe before this returns; not if ``draft`` raises
    anything but a Refusal. No task waits: waking one costs more than all the rest.
    """
    began = time.monotonic()

    def settle(outcome: rpc.PostCommentResponse | Refusal) -> None:
        metrics.post_seconds.observe(time.monotonic() - began)
        if isinstance(outcome, Refusal):
            metrics.posts.labels(outcome.reason).inc()
        else:
            _ACCEPTED.inc()
        answer(outcome)

    try:
        _admit(edge, author, address, began)
        item = _item(author, stream_id, draft)
        edge.cores.owner(stream_id).posts.post(item, settle)
    except Refusal as refusal:
        settle(refusal)


async def post_and_wait(
    edge: Edge, author: Identity, address: str, stream_id: str, draft: Draft
) -> rpc.PostCommentResponse:
    """The same for a task. Cancelled, it leaves the post on its way: it may be committed. Raises Refusal."""
    told = trio.Event()
    outcomes: list[rpc.PostCommentResponse | Refusal] = []

    def answer(outcome: rpc.PostCommentResponse | Refusal) -> None:
        outcomes.append(outcome)
        told.set()

    take_post(edge, author, address, stream_id, draft, answer=answer)
    await told.wait()
    (outcome,) = outcomes
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


def _admit(edge: Edge, author: Identity, address: str, now: float) -> None:
    edge.require_not_draining()
    if not author.is_user:
        raise Refusal(Reason.UNAUTHENTICATED, "a token is needed: Authorization: Bearer <token>")
    if author.expires_at <= time.time():
        # A connection may outlive the token that opened it.
        raise Refusal(Reason.UNAUTHENTICATED, "the token has expired")
    edge.addresses.admit(address, now)


def _item(author: Identity, stream_id: str, draft: Draft) -> rpc.IngestItem:
    # Field by field, where it stands: a message that is built first would be copied into its place.
    item = rpc.IngestItem()
    item.author_id = author.user_id
    item.author_name = author.name
    item.role = author.role
    item.is_member = stream_id in author.streams
    post = item.post
    draft(post)
    post.stream_id = stream_id
    if not post.request_id:
        # Our own key where the client gave none: then we at least may repeat the post when a core is lost.
        post.request_id = f"edge:{random.getrandbits(96):024x}"
    return item
