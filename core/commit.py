"""Group commit: one committer a stream decides and appends what waits, in one order (design.md, section 3.3)."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from core.backlog import Backlog
from core.bans import BanList
from core.changes import Decide
from core.fence import Fence
from core.ledger import Draft, Post
from core.metrics import BATCH_COMMENTS, POSTS
from core.repeats import Repeats
from core.stream_log import LogFull, LogUnreadable
from core.streams import RegistryUnavailable
from core.unavailable import not_confirmed, overloaded
from livecomments.cursor import Cursor
from livecomments.errors import Refusal
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import EventBatch, Stream

WAIT_S = 2.0
"""How long a post waits for its turn, and how long for the log."""
WAITING_MAX = 10_000
"""Posts that may wait for their turn in one stream: fewer than a caller may have open, so that one stream that hangs
leaves the others their room.
"""
_TELL_AGAIN_S = 1.0
"""How soon the registry is told again what it did not take."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much is committed as one message."""

    comments: int
    size: int
    """Bytes."""


class Change:
    """An event other than a comment that waits to be decided, and who waits for it."""

    def __init__(self, decide: Decide, arrived: float) -> None:
        self.decide = decide
        self.arrived = arrived
        self.done: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()

    def refuse(self, refusal: Refusal) -> None:
        if not self.done.done():
            self.done.set_exception(refusal)

    def settle(self, stream: Stream) -> None:
        if not self.done.done():
            self.done.set_result(stream)


class Committer:
    """Takes what shall happen in one stream and answers when it is known.

    ``run`` does it; the rest only adds to the queue, or gives up on those who wait too long. While an append is in
    doubt nothing else is decided: those in it hear NOT_CONFIRMED after WAIT_S, all others OVERLOADED. The registry is
    told beside that: however long it takes, no post waits for it.
    """

    def __init__(
        self, fence: Fence, bans: BanList, batch_limits: BatchLimits, backlog: Backlog, repeats: Repeats
    ) -> None:
        self._fence = fence
        self._bans = bans
        self._limits = batch_limits
        self._backlog = backlog
        self._repeats = repeats
        self._epoch = fence.log.shard.epoch
        self._queue: deque[Post | Change] = deque()
        self._work = asyncio.Event()
        self._flight: list[Post] | Change | None = None
        self._flight_since = 0.0
        self._is_stalled = False
        self._is_ready = False
        self._appended: list[Change] = []
        """Changes that are in the log and were not answered yet."""
        self._news = asyncio.Event()
        """There is something to tell the registry, or to answer."""
        self._is_registry_behind = False
        self.used_at = time.monotonic()

    @property
    def stream_id(self) -> str:
        return self._fence.stream_id

    @property
    def stream(self) -> Stream:
        """The stream as far as its log was read."""
        return self._fence.ledger.stream

    @property
    def is_idle(self) -> bool:
        """Nothing waits, nothing is under way, and the registry knows all."""
        is_committed = self._is_ready and not self._queue and self._flight is None
        return is_committed and not self._appended and not self._fence.ledger.unprojected

    def offer(self, posts: Sequence[Post]) -> None:
        """Takes posts; the answer goes to each one's ``reply``, maybe at once. Never waits."""
        room = self._backlog.enter(len(posts))
        room = 0 if self._is_stalled else min(room, WAITING_MAX - len(self._queue))
        for post in posts[room:]:
            self._refuse(post, overloaded("too many posts are waiting"))
        if room:
            self._queue.extend(posts[:room])
            self._work.set()

    async def change(self, decide: Decide) -> Stream:
        """The stream after a change: its event is in the log, or none was needed. Raises Refusal.

        A caller that is cancelled leaves the change in the queue or under way: it may be committed.
        """
        if self._is_stalled or len(self._queue) >= WAITING_MAX:
            raise overloaded("too many posts are waiting")
        change = Change(decide, time.monotonic())
        self._queue.append(change)
        self._work.set()
        return await change.done

    def expire(self, now: float) -> None:
        """Answers those who have waited for too long; ``now`` is monotonic seconds. Call it a few times a second."""
        if self._flight is not None and now - self._flight_since > WAIT_S:
            self._is_stalled = True
            self._give_up(self._flight)
            self._refuse_waiting(now)
        else:
            self._refuse_waiting(now - WAIT_S)

    def abandon(self) -> None:
        """Answers everyone: ``run`` has ended."""
        self._is_stalled = True
        if self._flight is not None:
            self._give_up(self._flight)
        self._refuse_waiting(time.monotonic())
        self._settle()

    async def run(self) -> None:
        """Takes the stream over, then commits until it is cancelled."""
        await self._take_over()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell_registry())
            await self._commit()

    async def _take_over(self) -> None:
        while True:
            try:
                await self._fence.take_over()
                break
            except LogUnreadable as error:
                log().warning("stream not taken over", stream=self.stream_id, error=str(error))
            await asyncio.sleep(random.uniform(0.1, 0.3))
        self._is_ready = True

    async def _commit(self) -> None:
        while True:
            await self._wait_for_work()
            async with self._fence.turn:
                if not self._queue:
                    # All who waited have given up while another had its turn.
                    continue
                if isinstance(first := self._queue[0], Change):
                    self._queue.popleft()
                    with self._in_flight(first):
                        await self._commit_change(first)
                else:
                    posts = self._gather()
                    with self._in_flight(posts):
                        await self._commit_posts(posts)
                self._fence.sum_up()
            if self._fence.ledger.unprojected and not self._is_registry_behind:
                # Another core's, read because it was first.
                self._news.set()

    async def _wait_for_work(self) -> None:
        while not self._queue:
            self._work.clear()
            await self._work.wait()

    async def _tell_registry(self) -> None:
        # First what a core that died could not tell any more.
        while True:
            self._news.clear()
            try:
                await self._fence.project()
                self._is_registry_behind = False
            except (RegistryUnavailable, LogUnreadable) as error:
                self._is_registry_behind = True
                log().warning("registry is behind", stream=self.stream_id, error=str(error))
            self._settle()
            with suppress(TimeoutError):
                async with asyncio.timeout(_TELL_AGAIN_S if self._is_registry_behind else None):
                    await self._news.wait()

    def _settle(self) -> None:
        for change in self._appended:
            change.settle(self.stream)
        self._appended.clear()

    @contextmanager
    def _in_flight(self, work: list[Post] | Change) -> Iterator[None]:
        self._flight = work
        self._flight_since = time.monotonic()
        yield
        # Not when it failed: abandon() answers for it then.
        self._flight = None
        self._is_stalled = False
        self.used_at = time.monotonic()

    def _gather(self) -> list[Post]:
        posts: list[Post] = []
        size = 0
        queue = self._queue
        while queue and len(posts) < self._limits.comments:
            post = queue[0]
            if isinstance(post, Change):
                break
            size += post.size
            if posts and size > self._limits.size:
                break
            posts.append(post)
            queue.popleft()
        return posts

    async def _commit_posts(self, posts: list[Post]) -> None:
        while posts:
            draft = self._fence.ledger.draft(_now_ms(), self._bans.of(self.stream_id))
            draft.add(posts)
            seq = await self._store(draft)
            if seq is not None:
                self._answer(draft, seq)
                return
            # Nothing of this draft was told to anybody. Who gave up meanwhile does not come back.
            posts = [post for post in posts if post.is_open]

    async def _store(self, draft: Draft) -> int | None:
        """The draft's sequence in the log, 0 when it adds nothing to it; None when it is to be decided again."""
        if draft.accepted:
            try:
                return await self._fence.commit(draft)
            except LogFull:
                draft.fail(overloaded("the log is full"))
        # An append would have told. Without one, another core may have taken these very posts, or lifted the limit.
        if draft.refused and not await self._fence.knew(max(post.arrived for post, _ in draft.refused)):
            return None
        return 0

    def _answer(self, draft: Draft, seq: int) -> None:
        comments = draft.comments
        cursor = str(Cursor(self._epoch, seq))
        answered = 0
        for post, index in draft.accepted:
            if post.is_open:
                post.is_open = False
                answered += 1
                post.reply.posted(post.tag, comments[index], cursor)
        if draft.accepted:
            BATCH_COMMENTS.observe(len(comments))
            POSTS.labels("COMMITTED").inc(answered)
            self._backlog.leave(answered)
        for post, refusal in draft.refused:
            self._refuse(post, refusal)
        if draft.repeated:
            self._repeats.answer(self._fence.log, draft.repeated)

    async def _commit_change(self, change: Change) -> None:
        while not change.done.done():
            try:
                event = change.decide(self._fence.ledger, _now_ms())
                if event is None:
                    is_decided = await self._fence.knew(change.arrived)
                else:
                    is_decided = await self._fence.append(EventBatch(events=[event])) is not None
                if is_decided:
                    # Answered once the registry was told: so one reads what one wrote.
                    self._appended.append(change)
                    self._news.set()
                    return
            except LogFull:
                change.refuse(overloaded("the log is full"))
            except Refusal as refusal:
                if await self._fence.knew(change.arrived):
                    change.refuse(refusal)

    def _give_up(self, flight: list[Post] | Change) -> None:
        if isinstance(flight, Change):
            flight.refuse(not_confirmed())
            return
        for post in flight:
            self._refuse(post, not_confirmed())

    def _refuse_waiting(self, arrived_before: float) -> None:
        queue = self._queue
        while queue and queue[0].arrived <= arrived_before:
            waiting = queue.popleft()
            refusal = overloaded("the log does not keep up")
            if isinstance(waiting, Change):
                waiting.refuse(refusal)
            else:
                self._refuse(waiting, refusal)

    def _refuse(self, post: Post, refusal: Refusal) -> None:
        if post.is_open:
            post.is_open = False
            self._backlog.leave(1)
            POSTS.labels(refusal.reason).inc()
            post.reply.refused(post.tag, refusal)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
