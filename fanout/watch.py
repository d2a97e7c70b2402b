"""One client's feed of one stream."""

import asyncio
import time
from collections import deque

from fanout import metrics
from fanout.calls import LongCall, Write
from fanout.feed import Feed
from fanout.messages import Window, in_pieces
from fanout.ranges import Limit
from fanout.resume import read_cursor
from fanout.topic import Topic
from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity
from livecomments.v1 import feed_service_pb2 as pb
from livecomments.v1.comment_pb2 import Stream

COMMENTS = 100
"""In a snapshot."""
HEARTBEAT_S = 15.0
RESUME = Limit(2_000, 2 * 1024**2)
_MESSAGE_BYTES = 1024**2
_HEARTBEAT = pb.WatchResponse(heartbeat=pb.Heartbeat()).SerializeToString()


def check_may_watch(identity: Identity, stream: Stream) -> None:
    """Raises Refusal: UNAUTHENTICATED for a private stream without a token, FORBIDDEN when the token does not do."""
    if not identity.may_watch(stream):
        if identity.is_user:
            raise Refusal(Reason.FORBIDDEN, "the token does not name this private stream")
        raise Refusal(Reason.UNAUTHENTICATED, "the stream is private: a token that names it is needed")


class WatchCall(LongCall):
    """A Watch call: ends when the stream does, when its token expires, when the stream is closed to its caller, and
    when more waits than a slow client is granted.
    """

    def __init__(self, feed: Feed, identity: Identity, request: pb.WatchRequest, write: Write) -> None:
        super().__init__(write)
        self._feed = feed
        self._identity = identity
        self._stream_id = request.stream_id
        self._cursor = read_cursor(request.cursor)
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._viewers: int | None = None
        self._degraded: bool | None = None
        self._ready = asyncio.Event()

    async def _work(self) -> None:
        metrics.watchers.inc()
        try:
            async with asyncio.timeout(self._token_s()), self._feed.topics.lease(self._stream_id) as topic:
                await self._watch(topic)
            self.end()
        except Refusal as refusal:
            self.end(refusal)
        except TimeoutError:
            self.end(Refusal(Reason.UNAUTHENTICATED, "the token has expired"))
        finally:
            metrics.watchers.dec()

    async def _watch(self, topic: Topic) -> None:
        check_may_watch(self._identity, topic.stream())
        start = await self._feed.resumer.start(topic, self._cursor, RESUME, COMMENTS)
        local = self._feed.viewers
        local.report(self, self._stream_id, 1)
        topic.add(self, start.after)
        try:
            await self._give(pb.WatchResponse(snapshot=start.snapshot).SerializeToString())
            for missed in in_pieces(self._stream_id, start.missed, _MESSAGE_BYTES):
                await self._give(missed.watch)
            await self._follow(topic)
        finally:
            topic.remove(self)
            local.report(self, self._stream_id, 0)

    async def _follow(self, topic: Topic) -> None:
        """Returns when the stream has ended and its end was sent."""
        while True:
            while self._queue:
                message = self._queue.popleft()
                self._size -= len(message)
                await self._give(message)
            if topic.memory.ended:
                return
            if self._degraded is not None:
                degraded, self._degraded = self._degraded, None
                await self._give(pb.WatchResponse(degraded=degraded).SerializeToString())
                continue
            if self._viewers is not None:
                viewers, self._viewers = self._viewers, None
                await self._give(pb.WatchResponse(viewers=pb.ViewerCount(viewers=viewers)).SerializeToString())
                continue
            self._ready.clear()
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._ready.wait()
            except TimeoutError:
                await self._give(_HEARTBEAT)

    def _token_s(self) -> float | None:
        return self._identity.expires_at - time.time() if self._identity.expires_at else None

    # -- what it hears from its topic --

    def window(self, window: Window) -> None:
        self._queue.append(window.watch)
        self._size += len(window.watch)
        self._ready.set()
        # One window alone may be larger than the bound.
        if self._size > self._feed.settings.fanout_watch_queue_bytes and len(self._queue) > 1:
            metrics.overloaded_watchers_total.inc()
            self.end(Refusal(Reason.OVERLOADED, "the client reads too slowly: resume by cursor", retry_after_ms=1_000))

    def updated(self, stream: Stream) -> None:
        try:
            check_may_watch(self._identity, stream)
        except Refusal as refusal:
            self.end(refusal)

    def viewers(self, viewers: int) -> None:
        self._viewers = viewers
        self._ready.set()

    def degraded(self, degraded: bool) -> None:
        self._degraded = degraded
        self._ready.set()

    def restarted(self) -> None:
        self.end(Refusal(Reason.OVERLOADED, "the feed was interrupted: resume by cursor", retry_after_ms=500))

    def closed(self, refusal: Refusal) -> None:
        self.end(refusal)
