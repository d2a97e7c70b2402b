"""A post's way in, whichever door it came through: checked, limited, sent to its core, and counted."""

import random
import time
from collections.abc import Callable
from typing import Annotated

import msgspec

from edge import metrics
from edge.requests import idempotency_key, read_json
from edge.shapes import rfc3339
from edge.state import Edge
from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity
from livecomments.v1 import comment_service_pb2 as rpc

LagMs = Annotated[int, msgspec.Meta(ge=0, le=60_000)]


class PostComment(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/streams/{id}/comments."""

    text: str
    client_ts: int = 0
    lag_ms: LagMs = 0
    meta: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Posted(msgspec.Struct):
    """What a poster is told."""

    comment_id: str
    posted_at: str
    offset_ms: int
    cursor: str


Draft = tuple[str, PostComment]
"""A post's key, empty for none, and what it says."""


def draft_of(key: str | None, body: bytes) -> Draft:
    """A request's: its Idempotency-Key as it came, and its body. Raises Refusal."""
    return idempotency_key(key), read_json(body, PostComment)


async def take_post(edge: Edge, author: Identity, address: str, stream_id: str, draft: Callable[[], Draft]) -> Posted:
    """One comment, posted by ``author`` from ``address``; ``draft`` reads it once its author may post at all.

    Returns once the comment is durable. Raises Refusal.
    """
    began = time.monotonic()
    outcome = "accepted"
    try:
        _admit(edge, author, address, began)
        item = _item(author, stream_id, *draft())
        posted = await edge.cores.owner(stream_id).posts.post(item)
    except Refusal as refusal:
        outcome = refusal.reason
        raise
    finally:
        metrics.posts.labels(outcome).inc()
        metrics.post_seconds.observe(time.monotonic() - began)
    comment = posted.comment
    return Posted(comment.comment_id, rfc3339(comment.posted_at_ms), comment.offset_ms, posted.cursor)


def _admit(edge: Edge, author: Identity, address: str, now: float) -> None:
    if edge.is_draining:
        raise Refusal(Reason.DRAINING, "this edge is shutting down", retry_after_ms=random.randint(500, 2_000))
    if not author.is_user:
        raise Refusal(Reason.UNAUTHENTICATED, "a token is needed: Authorization: Bearer <token>")
    if author.expires_at <= time.time():
        # A connection may outlive the token that opened it.
        raise Refusal(Reason.UNAUTHENTICATED, "the token has expired")
    edge.addresses.admit(address, now)


def _item(author: Identity, stream_id: str, key: str, form: PostComment) -> rpc.IngestItem:
    post = rpc.PostCommentRequest(
        stream_id=stream_id,
        text=form.text,
        # Our own key where the client gave none: then we at least may repeat the post when a core is lost.
        request_id=key or f"edge:{random.getrandbits(96):024x}",
        lag_ms=form.lag_ms,
        meta_json="" if form.meta is msgspec.UNSET else bytes(form.meta).decode(),
        client_ts_ms=form.client_ts,
    )
    return rpc.IngestItem(
        author_id=author.user_id,
        author_name=author.name,
        role=author.role,
        is_member=stream_id in author.streams,
        post=post,
    )
