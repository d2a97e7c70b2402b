"""Asks storage for comments that the log does not hold any more."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import grpc

from core.unavailable import overloaded
from livecomments.calls import CHANNEL_OPTIONS
from livecomments.errors import Reason, Refusal
from livecomments.hedged import Hedged
from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import Comment
from livecomments.v1.history_service_pb2 import GetCommentRequest
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub

if TYPE_CHECKING:  # known to the stubs alone
    from livecomments.v1.history_service_pb2_grpc import HistoryServiceAsyncStub

_READ_S = 2.0
"""How long one read may take, all storages that are asked for it together."""
_PATIENCE_S = 0.5
"""After so long without an answer another storage is asked, too: the first may be frozen."""


class History:
    """HistoryService at one of several addresses, in the order of the settings. Open with ``open_history()``."""

    def __init__(self, stores: Sequence["HistoryServiceAsyncStub"], service_token: str) -> None:
        self._stores = Hedged(stores)
        self._metadata = ((SERVICE_TOKEN_KEY, service_token),)

    async def get(self, stream_id: str, comment_id: str) -> Comment:
        """A comment that was not deleted.

        Raises Refusal: COMMENT_NOT_FOUND, also when no storage is configured; OVERLOADED when none answers.
        """
        if not self._stores:
            raise Refusal(Reason.COMMENT_NOT_FOUND, "the log does not hold this comment any more")
        request = GetCommentRequest(stream_id=stream_id, comment_id=comment_id)
        try:
            response = await self._stores.ask(
                lambda store: store.GetComment(request, metadata=self._metadata, timeout=_READ_S),
                patience_s=_PATIENCE_S,
                deadline_s=_READ_S,
            )
        except Refusal as refusal:
            if refusal.reason is Reason.COMMENT_NOT_FOUND:
                raise
            log().warning("storage does not answer", error=str(refusal))
            raise overloaded("no storage answers") from refusal
        return response.comment


@asynccontextmanager
async def open_history(addresses: Sequence[str], service_token: str) -> AsyncIterator[History]:
    """Channels to storage, for as long as the context is open; it need not be there."""
    async with AsyncExitStack() as stack:
        stores = []
        for address in addresses:
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS))
            stores.append(HistoryServiceStub(channel))
        yield History(stores, service_token)
