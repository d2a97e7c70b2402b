"""Asks storage for comments that the log does not hold any more."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import grpc

from core.unavailable import overloaded
from livecomments.errors import Reason, Refusal
from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import Comment
from livecomments.v1.history_service_pb2 import GetCommentRequest
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub

_CALL_S = 2.0
_OPTIONS = (
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    # grpc 1.85 would wait a minute.
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


class History:
    """HistoryService at one of several addresses, in the order of the settings. Open with ``open_history()``."""

    def __init__(self, channels: Sequence[grpc.aio.Channel], service_token: str) -> None:
        self._stubs = [HistoryServiceStub(channel) for channel in channels]
        self._metadata = ((SERVICE_TOKEN_KEY, service_token),)

    async def get(self, stream_id: str, comment_id: str) -> Comment:
        """A comment that was not deleted.

        Raises Refusal: COMMENT_NOT_FOUND, also when no storage is configured; OVERLOADED when none answers.
        """
        if not self._stubs:
            raise Refusal(Reason.COMMENT_NOT_FOUND, "the log does not hold this comment any more")
        request = GetCommentRequest(stream_id=stream_id, comment_id=comment_id)
        for stub in self._stubs:
            try:
                response = await stub.GetComment(request, timeout=_CALL_S, metadata=self._metadata)
            except grpc.aio.AioRpcError as error:
                refusal = Refusal.from_rpc_error(error)
                if refusal.reason is Reason.COMMENT_NOT_FOUND:
                    raise refusal from error
                log().warning("storage does not answer", error=str(refusal))
            else:
                return response.comment
        raise overloaded("no storage answers")


@asynccontextmanager
async def open_history(addresses: Sequence[str], service_token: str) -> AsyncIterator[History]:
    """Channels to storage, for as long as the context is open; it need not be there."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options=_OPTIONS))
            for address in addresses
        ]
        yield History(channels, service_token)
