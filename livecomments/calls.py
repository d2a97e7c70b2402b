"""Calls between processes: channels that notice a dead peer, and failures as refusals."""

from collections.abc import Awaitable
from typing import TypeVar

import grpc

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

T = TypeVar("T")

Metadata = tuple[tuple[str, str], ...]


async def answer(call: Awaitable[T], unanswered: Reason) -> T:
    """Awaits a call; its failure becomes a Refusal."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise Refusal.from_rpc_error(error, unanswered) from error


def is_passing(refusal: Refusal) -> bool:
    """Trying again may help."""
    return refusal.reason.http_status == 503
