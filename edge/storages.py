"""The storages: asked in turn, the next one when one is away."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc
import trio

from edge.upstream import Metadata, call, open_channel
from livecomments.errors import Reason, Refusal
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub

READ_S = 5.0
"""How long one read may take, all storages that are asked for it together."""

Req = TypeVar("Req")
Resp = TypeVar("Resp")


class Storages:
    """Reads of stored comments. Any storage gives the same answer."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._channels = [open_channel(address) for address in addresses]
        self._stubs = [HistoryServiceStub(channel) for channel in self._channels]
        self._turn = 0

    async def read(
        self,
        method: "Callable[[HistoryServiceStub], grpc.UnaryUnaryMultiCallable[Req, Resp]]",
        request: Req,
        metadata: Metadata,
    ) -> Resp:
        """One read; raises Refusal, OVERLOADED only when no storage answers within READ_S."""
        self._turn += 1
        deadline = trio.current_time() + READ_S
        away: Refusal | None = None
        for step in range(len(self._stubs)):
            stub = self._stubs[(self._turn + step) % len(self._stubs)]
            # A frozen one leaves the others their share.
            timeout_s = (deadline - trio.current_time()) / (len(self._stubs) - step)
            try:
                return await call(method(stub), request, timeout_s=timeout_s, metadata=metadata)
            except Refusal as refusal:
                if refusal.reason is not Reason.OVERLOADED:
                    raise
                away = refusal
        raise away or Refusal(Reason.OVERLOADED, "there is no storage")

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
