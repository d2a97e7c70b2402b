"""How a subscriber begins: where it was, if all that it missed can still be had, else with a snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass

from fanout import metrics
from fanout.messages import Entry
from fanout.ranges import Limit, Range, Ranges
from fanout.topic import Topic
from livecomments.cursor import BadCursor, Cursor
from livecomments.errors import Reason, Refusal
from livecomments.v1.feed_service_pb2 import Snapshot


@dataclass(frozen=True, slots=True)
class Start:
    """What a subscriber is given first. Holds until the next await: it must be added to the topic before."""

    snapshot: Snapshot
    missed: Sequence[Entry]
    """Follows the snapshot; oldest first."""
    after: int
    """Nothing up to here may be sent from the topic's windows."""


def read_cursor(text: str) -> Cursor | None:
    """None for an empty one; raises Refusal(BAD_CURSOR)."""
    if not text:
        return None
    try:
        return Cursor.parse(text)
    except BadCursor as error:
        raise Refusal(Reason.BAD_CURSOR, "cursor: must be one that this service gave") from error


class Resumer:
    """Decides how subscribers begin."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges

    async def start(self, topic: Topic, cursor: Cursor | None, limit: Limit, comments: int) -> Start:
        """The beginning for someone who has seen everything up to ``cursor``.

        In order: nothing seen, or in another life of the log: a snapshot with at most ``comments``. Ahead of this
        topic's head: recovered, and nothing is sent until the feed has passed it. In memory, or in the log within
        ``limit``: recovered, with what was missed. Else a snapshot.
        """
        if cursor is None:
            metrics.snapshots_total.labels("fresh").inc()
            return _fresh(topic, comments)
        missed = await self._missed(topic, cursor, limit)
        if missed is None:
            metrics.snapshots_total.labels("lost").inc()
            return _fresh(topic, comments)
        metrics.snapshots_total.labels("recovered").inc()
        return Start(topic.recovered(cursor.seq), missed, max(cursor.seq, topic.memory.head))

    async def _missed(self, topic: Topic, cursor: Cursor, limit: Limit) -> Sequence[Entry] | None:
        """What stands between the cursor and the head; None when it can't be had. Nothing is awaited after the head
        was looked at for the last time.
        """
        if cursor.epoch != topic.epoch:
            return None
        if cursor.seq > topic.memory.head:
            # Whoever gave that cursor knows more than this topic does.
            topic.ask()
            if not await self._ranges.has_come_to(topic.stream_id, cursor):
                return None
        older: Sequence[Entry] = ()
        after = cursor.seq
        if not topic.memory.covers(after):
            through = topic.memory.head
            try:
                older = await self._ranges.read(Range(topic.stream_id, topic.epoch, after, through, limit))
            except Refusal:
                return None
            after = through
            if not topic.memory.covers(after):
                return None
        missed = [*older, *topic.memory.after(after)]
        events, size = sum(entry.events for entry in missed), sum(len(entry.encoded) for entry in missed)
        return missed if events <= limit.events and size <= limit.bytes else None


def _fresh(topic: Topic, comments: int) -> Start:
    with metrics.snapshot_seconds.time():
        return Start(topic.snapshot(comments), (), topic.memory.head)
