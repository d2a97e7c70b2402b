"""What waits for one edge, bounded by bytes. Plain code.

An edge that reads too slowly loses windows, never memory: when they would take more than the bound, all that are queued
are dropped, and each topic that they touched gets a fresh snapshot instead, made only when the edge reads again.
"""

from collections import deque
from collections.abc import Callable, Sequence

from fanout import wire
from livecomments.errors import Reason
from livecomments.v1.feed_service_pb2 import Refused, TopicUpdate, ViewerCount


class Outbox:
    """Updates of many topics, each a serialized RelayResponse; joined, they are one."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._queue: deque[tuple[str, bytes]] = deque()
        self._size = 0
        self._stale: dict[str, None] = {}
        self._viewers: dict[str, int] = {}
        self._degraded: dict[str, bool] = {}
        self._refused: dict[str, Reason] = {}

    @property
    def size(self) -> int:
        """Bytes that are queued."""
        return self._size

    @property
    def refusals(self) -> int:
        """How many wait: they are not bounded here, but by not reading more joins."""
        return len(self._refused)

    def begin(self, stream_id: str, updates: Sequence[bytes]) -> None:
        """Queues a topic's first updates; whatever waited for it is dropped."""
        self.forget(stream_id)
        for update in updates:
            self.put(stream_id, update)

    def put(self, stream_id: str, update: bytes) -> None:
        """Queues a topic's next update."""
        if stream_id in self._stale:
            return  # the snapshot that is to come holds it
        self._queue.append((stream_id, update))
        self._size += len(update)
        if self._size > self._max_bytes:
            self._stale.update((touched, None) for touched, _ in self._queue)
            self._queue.clear()
            self._size = 0

    def count(self, stream_id: str, viewers: int) -> None:
        """Only the latest number of a topic waits."""
        self._viewers[stream_id] = viewers

    def degrade(self, stream_id: str, degraded: bool) -> None:
        """Says that a topic's feed is cut off, or not any more; only the latest word waits."""
        self._degraded[stream_id] = degraded

    def renew(self, stream_id: str) -> None:
        """A fresh snapshot takes the place of whatever waits for a topic."""
        self.forget(stream_id)
        self._stale[stream_id] = None

    def refuse(self, stream_id: str, reason: Reason) -> None:
        """Says why a topic can't be had."""
        self.forget(stream_id)
        self._refused[stream_id] = reason

    def forget(self, stream_id: str) -> None:
        """Drops whatever waits for a topic."""
        self._stale.pop(stream_id, None)
        self._viewers.pop(stream_id, None)
        self._degraded.pop(stream_id, None)
        self._refused.pop(stream_id, None)
        if any(waiting == stream_id for waiting, _ in self._queue):
            self._queue = deque(entry for entry in self._queue if entry[0] != stream_id)
            self._size = sum(len(update) for _, update in self._queue)

    def take(self, max_bytes: int, fresh: Callable[[str], bytes]) -> bytes:
        """The next message: all that is ready, but not much more than ``max_bytes``; empty when nothing waits.

        ``fresh`` makes the snapshot of a topic whose windows were dropped, as of now.
        """
        parts = [_update(stream_id, refused=Refused(reason=reason)) for stream_id, reason in self._refused.items()]
        self._refused.clear()
        size = 0
        while self._queue and size < max_bytes:
            _, update = self._queue.popleft()
            self._size -= len(update)
            size += len(update)
            parts.append(update)
        while self._stale and size < max_bytes:
            stream_id = next(iter(self._stale))
            del self._stale[stream_id]
            snapshot = fresh(stream_id)
            size += len(snapshot)
            parts.append(snapshot)
        for stream_id, viewers in self._viewers.items():
            parts.append(_update(stream_id, viewers=ViewerCount(viewers=viewers)))
        parts += [_update(stream_id, degraded=degraded) for stream_id, degraded in self._degraded.items()]
        self._viewers.clear()
        self._degraded.clear()
        return b"".join(parts)


def _update(
    stream_id: str,
    *,
    refused: Refused | None = None,
    viewers: ViewerCount | None = None,
    degraded: bool | None = None,
) -> bytes:
    """Of these, one."""
    update = TopicUpdate(stream_id=stream_id, refused=refused, viewers=viewers)
    if degraded is not None:
        update.degraded = degraded
    return wire.relay_update(update)
