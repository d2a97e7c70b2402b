"""An even sample of a feed that no one could read. Pure.

What is left out follows from the log alone: from a comment's id, and from how many comments the log holds in the
second before it. So every edge picks the same, and a viewer that resumes elsewhere goes on with the sample it had. An
edge that has known a stream for less than two seconds may have counted too few, and then picks more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

from edge.events import FeedEvent, omitted_event, window_events
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed

_HASHES = 2**32


class Selection(StrEnum):
    """Which comments of a feed a viewer is given."""

    SAMPLE = "sample"
    """So many as one viewer can read."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Part:
    """What is given of one log message."""

    message: feed.FeedMessage
    """The log's own where nothing was left out. It may hold no events: its place in the log has been passed."""
    omitted: int = 0
    """Comments that were left out."""

    @property
    def comments(self) -> int:
        """Comments that are given. A message holds either comments or exactly one other event."""
        events = self.message.events.events
        return len(events) if events and events[0].HasField("posted") else 0


class Sampler:
    """Takes a stream's messages in the log's order. ``per_second``: comments for one viewer; 0 leaves nothing out."""

    def __init__(self, per_second: int, before: Iterable[pb.Comment] = ()) -> None:
        """``before``: the comments that came last, oldest first."""
        self._per_second = per_second
        self._second = 0
        self._count = 0
        """The log's comments in ``_second`` so far."""
        self._count_before = 0
        """The same in the second before."""
        for comment in before:
            self._add(comment.posted_at_ms // 1000, 1)

    def sample(self, message: feed.FeedMessage) -> Part:
        """What one viewer is given of the next message. Events that are no comments are never left out."""
        events = message.events.events
        if not self._per_second or not events or not events[0].HasField("posted"):
            return Part(message)
        second, ms = divmod(events[0].posted.comment.posted_at_ms, 1000)
        self._add(second, len(events))
        # A sliding second: of the last calendar second, the part that is not a thousand milliseconds old yet.
        rate = self._count + self._count_before * (999 - ms) // 1000
        if rate <= self._per_second:
            return Part(message)
        threshold = _HASHES * self._per_second // rate
        kept = [event for event in events if crc32(event.posted.comment.comment_id.encode()) < threshold]
        if len(kept) == len(events):
            return Part(message)
        return Part(feed.FeedMessage(seq=message.seq, events=pb.EventBatch(events=kept)), len(events) - len(kept))

    def _add(self, second: int, comments: int) -> None:
        if second > self._second:
            self._count_before = self._count if second == self._second + 1 else 0
            self._second = second
            self._count = 0
        self._count += comments


def part_events(epoch: str, parts: Sequence[Part], viewers: int) -> list[FeedEvent]:
    """Parts of the log as events, in order, and behind them how many comments were left out.

    That number has no cursor: when the connection is cut before it, it is the number that is lost, and no comment.
    """
    events = window_events(epoch, [part.message for part in parts], viewers)
    if omitted := sum(part.omitted for part in parts):
        events.append(omitted_event(omitted))
    return events
