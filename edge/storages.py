"""The storages: asked in turn, the next one when one is away or slow."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
import trio

from edge.upstream import Metadata, call, open_channel
from livecomments.calls import is_passing
from livecomments.errors import Reason, Refusal
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub

READ_S = 5.0
"""How long one read may take, all storages that are asked for it together."""
PATIENCE_S = 1.0
"""After so long without an answer another storage is asked, too: the first may be frozen."""
_AVOIDED_S = 2.0
"""For so long a storage that was late, or away, is asked after all the others."""

Req = TypeVar("Req")
Resp = TypeVar("Resp")


@dataclass(eq=False)
class _Storage:
    channel: grpc.Channel
    avoided_until: float = -math.inf
    """Of trio's clock."""

    def __post_init__(self) -> None:
        self.stub = HistoryServiceStub(self.channel)

    def avoid(self) -> None:
        self.avoided_until = trio.current_time() + _AVOIDED_S


class _Reading(Generic[Req, Resp]):
    """One read, and what the storages say to it."""

    def __init__(
        self,
        method: "Callable[[HistoryServiceStub], grpc.UnaryUnaryMultiCallable[Req, Resp]]",
        request: Req,
        metadata: Metadata,
    ) -> None:
        self._method = method
        self._request = request
        self._metadata = metadata
        self._deadline = trio.current_time() + READ_S
        self._answers: list[Resp] = []
        self._refusal = Refusal(Reason.OVERLOADED, "there is no storage")

    async def ask(self, storage: _Storage, has_failed: trio.Event, others: trio.CancelScope) -> None:
        """Asks one storage. An answer ends the ``others``; one that is away sets ``has_failed``."""
        left_s = max(0.0, self._deadline - trio.current_time())
        try:
            answer = await call(self._method(storage.stub), self._request, timeout_s=left_s, metadata=self._metadata)
        except Refusal as refusal:
            self._refusal = refusal
            if is_passing(refusal):
                storage.avoid()
                has_failed.set()
                return
        else:
            self._answers.append(answer)
        others.cancel()

    def answer(self) -> Resp:
        """The first; raises the last Refusal when there is none."""
        if self._answers:
            return self._answers[0]
        raise self._refusal


class Storages:
    """Reads of stored comments. Any storage gives the same answer."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._storages = [_Storage(open_channel(address)) for address in addresses]
        self._turn = 0

    async def read(
        self,
        method: "Callable[[HistoryServiceStub], grpc.UnaryUnaryMultiCallable[Req, Resp]]",
        request: Req,
        metadata: Metadata,
    ) -> Resp:
        """One read: the first answer that comes. Raises Refusal; one that says 503 only when no storage answers."""
        reading = _Reading(method, request, metadata)
        async with trio.open_nursery() as asking:
            for storage in self._in_turn():
                has_failed = trio.Event()
                asking.start_soon(reading.ask, storage, has_failed, asking.cancel_scope)
                with trio.move_on_after(PATIENCE_S) as patience:
                    await has_failed.wait()
                if patience.cancelled_caught:
                    storage.avoid()
        return reading.answer()

    def _in_turn(self) -> list[_Storage]:
        self._turn = (self._turn + 1) % max(1, len(self._storages))
        turned = self._storages[self._turn :] + self._storages[: self._turn]
        now = trio.current_time()
        return sorted(turned, key=lambda storage: storage.avoided_until > now)

    def close(self) -> None:
        for storage in self._storages:
            storage.channel.close()
