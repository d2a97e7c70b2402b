"""Calls of the asyncio client: channels that notice a dead peer, and repetition until a deadline."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Protocol, TypeVar

import grpc

from livecomments.backoff import Backoff
from livecomments.errors import Reason, Refusal

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # A frozen peer keeps its connection: only unanswered pings tell.
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    # grpc 1.85 would wait a minute.
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A restarted peer must be found soon: grpc's own backoff grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
SERVICE_TOKEN_KEY = "x-livecomments-service-token"  # noqa: S105 (the metadata key, not the token)
_TRY_S = 5.0

T = TypeVar("T")
Req_contra = TypeVar("Req_contra", contravariant=True)
Resp_co = TypeVar("Resp_co", covariant=True)

Metadata = tuple[tuple[str, str], ...]


class Method(Protocol[Req_contra, Resp_co]):
    """A method of an asyncio stub that takes one request and gives one response."""

    def __call__(self, request: Req_contra, /, *, timeout: float, metadata: Metadata) -> Awaitable[Resp_co]: ...


async def insist(
    method: Method[Req_contra, Resp_co],
    request: Req_contra,
    *,
    metadata: Metadata,
    deadline_s: float,
    unanswered: Reason,
) -> Resp_co:
    """Repeats a call, with jittered pauses, until it is answered or the deadline passes.

    Raises Refusal. ``unanswered`` is what it means that no answer came: OVERLOADED for reads, NOT_CONFIRMED for
    writes; the request of a write must be one that is carried out once however often it comes.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + deadline_s
    backoff, in_doubt = Backoff(), False
    while True:
        timeout_s = min(_TRY_S, deadline - clock())
        try:
            return await answer(method(request, timeout=timeout_s, metadata=metadata), unanswered)
        except Refusal as refusal:
            if not is_passing(refusal):
                raise
            in_doubt = in_doubt or refusal.reason is Reason.NOT_CONFIRMED
            pause = backoff.next_s(least_s=refusal.retry_after_ms / 1000)
            if clock() + pause >= deadline:
                # That the last try was not taken says nothing about those before it.
                raise replace(refusal, reason=Reason.NOT_CONFIRMED) if in_doubt else refusal from refusal
        await asyncio.sleep(pause)


async def answer(call: Awaitable[T], unanswered: Reason) -> T:
    """Awaits a call; its failure becomes a Refusal."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise Refusal.from_rpc_error(error, unanswered) from error


def is_passing(refusal: Refusal) -> bool:
    """Trying again may help."""
    return refusal.reason.http_status == 503
