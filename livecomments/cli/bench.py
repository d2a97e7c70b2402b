"""``livecomments bench``: posts and watches for a while, and tells how long both take."""

import asyncio
import ipaddress
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field

from livecomments.cli import CommandError
from livecomments.cli.exits import Exit, failure
from livecomments.client import AsyncLiveComments, CommentsPosted, LiveCommentsError, Snapshot

_SETTLE_S = 5.0
"""What was accepted must be seen within so long after the last answer."""
_BEGIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done."""

    rate: float
    """Posts a second."""
    seconds: float
    watchers: int

    @property
    def posts(self) -> int:
        """All of them."""
        return max(1, round(self.rate * self.seconds))


@dataclass(slots=True)
class Measured:
    """What came of it; times are seconds."""

    answered: list[float] = field(default_factory=list)
    """From a post to its answer."""
    seen: list[float] = field(default_factory=list)
    """From a post to a watcher's eyes, for each watcher."""
    refused: Counter[str] = field(default_factory=Counter)
    """By reason."""
    missed: int = 0
    """Accepted and not seen in time, for each watcher."""


def require_loopback(addresses: Sequence[str], *, is_sure: bool) -> None:
    """Raises CommandError for a machine that is not this one, unless the caller is sure."""
    foreign = [address for address in addresses if not _is_loopback(address)]
    if foreign and not is_sure:
        raise CommandError(
            f"{', '.join(foreign)} is not this machine: bench would put load on it; --yes says that it may",
            Exit.MISTAKE,
        )


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many of them do not exceed (nearest rank); nan where there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def run_bench(
    core: str, fanout: str, token: str, stream_id: str, *, plan: Plan, progress: Callable[[float], None]
) -> Measured:
    """Posts into a stream that exists, and watches it; tells ``progress`` the share that is done.

    Raises CommandError.
    """
    try:
        return asyncio.run(_measure(core, fanout, token, stream_id, plan=plan, progress=progress))
    except* LiveCommentsError as group:
        first = group.exceptions[0]
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        assert isinstance(first, LiveCommentsError)
        raise failure(first) from None
    except* TimeoutError:
        raise CommandError(f"the feed did not begin within {_BEGIN_S:.0f} s", Exit.UNAVAILABLE) from None


class _Watcher:
    def __init__(self, live: AsyncLiveComments, stream_id: str, began: dict[str, float]) -> None:
        self._live = live
        self._stream_id = stream_id
        self._began = began
        self.ready = asyncio.Event()
        self._more = asyncio.Event()
        self.delays: dict[str, float] = {}

    async def run(self) -> None:
        async with self._live.watch(self._stream_id) as events:
            async for event in events:
                match event:
                    case Snapshot():
                        self.ready.set()
                    case CommentsPosted(comments=comments):
                        now = time.monotonic()
                        for comment in comments:
                            if comment.text in self._began:
                                self.delays[comment.text] = now - self._began[comment.text]
                        self._more.set()

    async def has_seen(self, texts: AbstractSet[str]) -> None:
        while not texts <= self.delays.keys():
            self._more.clear()
            await self._more.wait()


async def _measure(
    core: str, fanout: str, token: str, stream_id: str, *, plan: Plan, progress: Callable[[float], None]
) -> Measured:
    began: dict[str, float] = {}
    accepted: set[str] = set()
    measured = Measured()
    async with AsyncLiveComments(core=core, fanout=fanout, token=token) as live:
        watchers = [_Watcher(live, stream_id, began) for _ in range(plan.watchers)]

        async def post(text: str) -> None:
            began[text] = time.monotonic()
            try:
                await live.post(stream_id, text)
            except LiveCommentsError as error:
                measured.refused[error.reason] += 1
            else:
                measured.answered.append(time.monotonic() - began[text])
                accepted.add(text)

        async with asyncio.TaskGroup() as watching:
            tasks = [watching.create_task(watcher.run()) for watcher in watchers]
            async with asyncio.timeout(_BEGIN_S):
                for watcher in watchers:
                    await watcher.ready.wait()
            first = time.monotonic()
            async with asyncio.TaskGroup() as posting:
                for number in range(plan.posts):
                    await asyncio.sleep(max(0.0, first + number / plan.rate - time.monotonic()))
                    posting.create_task(post(f"bench {first:.6f} {number}"))
                    progress((number + 1) / plan.posts)
            with suppress(TimeoutError):
                async with asyncio.timeout(_SETTLE_S):
                    for watcher in watchers:
                        await watcher.has_seen(accepted)
            for task in tasks:
                task.cancel()
    for watcher in watchers:
        measured.seen += watcher.delays.values()
        measured.missed += len(accepted - watcher.delays.keys())
    return measured
