"""A post's way in, whichever door it came through: checked, limited, sent to its core, and counted."""

import random
import time
from collections.abc import Callable
from typing import Annotated

import msgspec
import trio

from edge import metrics
from edge.requests import idempotency_key, read_json
from edge.shapes import rfc3339
from edge.state import Edge
from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity
from livecomments.v1 import comment_service_pb2 as rpc

LagMs = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
UnixMs = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""As much as the proto holds: a client's clock may be wrong by any amount."""


class PostComment(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/streams/{id}/comments."""

    text: str
    client_ts: UnixMs = 0
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
Answer = Callable[[Posted | Refusal], None]
"""Tells a poster: once, on the loop. It may neither wait nor raise."""

_ACCEPTED = metrics.posts.labels("accepted")


def draft_of(key: str | None, body: bytes) -> Draft:
    """A request's: its Idempotency-Key as it came, and its body. Raises Refusal."""
    return idempotency_key(key), read_json(body, PostComment)


def take_post(
    edge: Edge, author: Identity, address: str, stream_id: str, draft: Callable[[], Draft], *, answer: Answer
) -> None:
    """One comment, posted by ``author`` from ``address``; ``draft`` reads it once its author may post at all.

    ``answer`` is called once the comment is durable or refused, maybe before this returns; not if ``draft`` raises
    anything but a Refusal. No task waits: waking one costs more than all the rest.
    """
    began = time.monotonic()

    def settle(outcome: rpc.PostCommentResponse | Refusal) -> None:
        metrics.post_seconds.observe(time.monotonic() - began)
        if isinstance(outcome, Refusal):
            metrics.posts.labels(outcome.reason).inc()
            answer(outcome)
            return
        _ACCEPTED.inc()
        comment = outcome.comment
        answer(Posted(comment.comment_id, rfc3339(comment.posted_at_ms), comment.offset_ms, outcome.cursor))

    try:
        _admit(edge, author, address, began)
        item = _item(author, stream_id, *draft())
        edge.cores.owner(stream_id).posts.post(item, settle)
    except Refusal as refusal:
        settle(refusal)


async def post_and_wait(
    edge: Edge, author: Identity, address: str, stream_id: str, draft: Callable[[], Draft]
) -> Posted:
    """The same for a task. Cancelled, it leaves the post on its way: it may be committed. Raises Refusal."""
    told = trio.Event()
    outcomes: list[Posted | Refusal] = []

    def answer(outcome: Posted | Refusal) -> None:
        outcomes.append(outcome)
        told.set()

    take_post(edge, author, address, stream_id, draft, answer=answer)
    await told.wait()
    (outcome,) = outcomes
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


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
    # Field by field, where it stands: a message that is built first would be copied into its place.
    item = rpc.IngestItem()
    item.author_id = author.user_id
    item.author_name = author.name
    item.role = author.role
    item.is_member = stream_id in author.streams
    post = item.post
    post.stream_id = stream_id
    post.text = form.text
    # Our own key where the client gave none: then we at least may repeat the post when a core is lost.
    post.request_id = key or f"edge:{random.getrandbits(96):024x}"
    post.lag_ms = form.lag_ms
    if form.meta is not msgspec.UNSET:
        post.meta_json = bytes(form.meta).decode()
    post.client_ts_ms = form.client_ts
    return item
