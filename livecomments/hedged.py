"""Reads that any of several peers answers alike: the next one is asked, too, when one is away or slow.

For asyncio; the edge's ``storages.py`` is the same on trio.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from livecomments.calls import answer, is_passing
from livecomments.errors import Reason, Refusal

_AVOIDED_S = 2.0
"""For so long a peer that was late, or away, is asked after all the others."""

P = TypeVar("P")
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Peer(Generic[P]):
    stub: P
    avoided_until: float = -math.inf
    """Of the loop's clock."""


class Hedged(Generic[P]):
    """Peers in the order in which they are asked; ``stub`` is what a call goes through."""

    def __init__(self, stubs: Sequence[P]) -> None:
        self._peers = [_Peer(stub) for stub in stubs]

    def __bool__(self) -> bool:
        return bool(self._peers)

    async def ask(self, call: Callable[[P], Awaitable[T]], *, patience_s: float, deadline_s: float) -> T:
        """The first answer that comes. One more peer is asked whenever one refuses for now (503), or none has answered
        for ``patience_s``; all of them have ``deadline_s`` together.

        Raises Refusal: a peer's final word as soon as it is said, or one that says 503 when nobody answers in time.
        However this ends, also when it is cancelled, no call is left under way.
        """
        asked: dict[asyncio.Task[T], _Peer[P]] = {}
        try:
            async with asyncio.timeout(deadline_s):
                return await self._ask(call, asked, patience_s)
        except TimeoutError:
            for task, peer in asked.items():
                if not task.done():
                    self._avoid(peer)
            raise Refusal(Reason.OVERLOADED, f"no answer within {deadline_s:g} s", retry_after_ms=1_000) from None
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _ask(
        self, call: Callable[[P], Awaitable[T]], asked: dict[asyncio.Task[T], _Peer[P]], patience_s: float
    ) -> T:
        refusal = Refusal(Reason.OVERLOADED, "there is nobody to ask", retry_after_ms=1_000)
        under_way: set[asyncio.Task[T]] = set()
        left = self._in_turn()
        while left or under_way:
            if left:
                peer = left.pop(0)
                newest = asyncio.create_task(_ask_one(call, peer.stub))
                asked[newest] = peer
                under_way.add(newest)
            done, under_way = await asyncio.wait(
                under_way, timeout=patience_s if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                self._avoid(peer)
            for task in done:
                try:
                    return task.result()
                except Refusal as refused:
                    if not is_passing(refused):
                        raise
                    self._avoid(asked[task])
                    refusal = refused
        raise refusal

    def _avoid(self, peer: _Peer[P]) -> None:
        peer.avoided_until = asyncio.get_running_loop().time() + _AVOIDED_S

    def _in_turn(self) -> list[_Peer[P]]:
        now = asyncio.get_running_loop().time()
        return sorted(self._peers, key=lambda peer: peer.avoided_until > now)


async def _ask_one(call: Callable[[P], Awaitable[T]], stub: P) -> T:
    return await answer(call(stub), Reason.OVERLOADED)
