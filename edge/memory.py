"""What the edge remembers of one stream's feed: the last comments, and the windows of the last seconds. Pure."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from edge.encodings import Encoding
from edge.events import FeedEvent, ended_event, snapshot_event
from edge.recent_comments import RecentComments
from edge.sampling import Part, Sampler, Selection, part_events
from edge.window import Window
from livecomments.cursor import Cursor
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed

HISTORY = 100
"""Comments in a snapshot."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A cursor that memory reaches back to: what came after it, encoded; empty when nothing did."""

    data: bytes
    events: int
    """How many those are."""


@dataclass(frozen=True, slots=True)
class TooOld:
    """A cursor of this log, older than memory: fanout may know what came after it."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A cursor of this log that memory has not come to: another edge was faster, or nobody has ever given it."""


@dataclass(frozen=True, slots=True)
class Unservable:
    """A cursor of another epoch, whose log is gone, or more was missed than a resume may bring."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is kept and given."""

    keep_s: float
    resume_events: int
    resume_bytes: int
    comments_per_second: int = 0
    """What one viewer is given of a feed that no one could read; 0: all."""


class FeedMemory:
    """One stream's feed as of ``cursor``. Not for several threads."""

    def __init__(self, snapshot: feed.Snapshot, limits: Limits) -> None:
        self._limits = limits
        self.cursor = Cursor.parse(snapshot.cursor)
        """Every event up to here has been taken in."""
        self.floor = self.cursor.seq
        """Every event after this seq stands in a window here."""
        self.stream = snapshot.stream
        self.viewers = snapshot.viewers
        self.degraded = False
        """Nothing is heard of the feed for now."""
        self._sampler = Sampler(limits.comments_per_second, snapshot.comments)
        self.recent = RecentComments(snapshot)
        self._windows: deque[Window] = deque()
        self._whole: deque[tuple[Window, int]] = deque()
        """Those of the windows that are more than their sample, and how many events each holds."""
        self._whole_events = 0
        self._whole_floor = self.floor
        """Every event after this seq is here, and not only the sample of it."""
        self._snapshots: dict[str, bytes] = {}

    @property
    def has_ended(self) -> bool:
        return self.stream.state == pb.STREAM_STATE_ENDED

    @property
    def is_private(self) -> bool:
        return self.stream.visibility == pb.STREAM_VISIBILITY_PRIVATE

    def add(self, batch: feed.FeedBatch, now: float) -> Window | None:
        """Takes a window in; None when everything in it was known already."""
        messages = tuple(message for message in batch.messages if message.seq > self.cursor.seq)
        if not messages:
            return None
        for message in messages:
            for number, event in enumerate(message.events.events):
                self._apply(event, message.seq, number)
        sample = [self._sampler.sample(message) for message in messages]
        window = Window(self.cursor.epoch, messages, sample, self.viewers, now)
        self.cursor = replace(self.cursor, seq=window.last_seq)
        self._windows.append(window)
        self._keep_whole(window)
        self._snapshots.clear()
        while self._windows and self._windows[0].at < now - self._limits.keep_s:
            self.floor = self._windows.popleft().last_seq
        return window

    def count(self, viewers: int) -> bool:
        """Takes a new number of viewers; False when it is the old one."""
        changed = viewers != self.viewers
        if changed:
            self.viewers = viewers
            self._snapshots.clear()
        return changed

    def degrade(self, degraded: bool) -> bool:
        """Takes a new state of the connection to the feed; False when it is the old one."""
        changed = degraded != self.degraded
        if changed:
            self.degraded = degraded
            self._snapshots.clear()
        return changed

    def snapshot(self, encoding: Encoding) -> bytes:
        """The state at ``cursor``, encoded once for all who join before the next change."""
        data = self._snapshots.get(encoding.name)
        if data is None:
            events = [self.state()]
            if self.has_ended:
                events.append(ended_event(self.stream.ended_at_ms))
            data = self._snapshots[encoding.name] = encoding.events(events)
        return data

    def state(self) -> FeedEvent:
        """The state at ``cursor``."""
        return snapshot_event(
            self.stream, self.viewers, self.recent.last(HISTORY), self.cursor, recovered=False, degraded=self.degraded
        )

    def recovered(self, cursor: Cursor) -> FeedEvent:
        """The first event of a resume that succeeds: no comments, and the client's own cursor."""
        return snapshot_event(self.stream, self.viewers, (), cursor, recovered=True, degraded=self.degraded)

    def since(self, cursor: Cursor, encoding: Encoding, selection: Selection) -> Missed | TooOld | Ahead | Unservable:
        """What came after a cursor."""
        if cursor.epoch != self.cursor.epoch:
            return Unservable()
        if cursor.seq < self.floor:
            return TooOld()
        if not self.reaches_back(cursor.seq, selection):
            return Unservable()
        if self.is_behind(cursor):
            return Ahead()
        missed = [window.of(selection) for window in self._windows_after(cursor.seq)]
        events = sum(portion.events for portion in missed)
        if not self.may_give(events, 0):
            return Unservable()
        data = b"".join(portion.after(cursor.seq, encoding) for portion in missed)
        return Missed(data, events) if self.may_give(events, len(data)) else Unservable()

    def is_behind(self, cursor: Cursor) -> bool:
        """Whether the cursor is ahead of this memory."""
        return cursor.epoch == self.cursor.epoch and cursor.seq > self.cursor.seq

    def reaches_back(self, seq: int, selection: Selection) -> bool:
        """Whether memory has all that this selection is given after ``seq``. Of a feed that is sampled it keeps no more
        than a resume may bring.
        """
        return seq >= (self.floor if selection is Selection.SAMPLE else max(self.floor, self._whole_floor))

    def parts_after(self, seq: int, selection: Selection) -> list[Part]:
        """What memory holds behind ``seq``, in order; all there is where it reaches back so far."""
        windows = self._windows_after(seq)
        return [part for window in windows for part in window.of(selection).parts if part.message.seq > seq]

    def older(self, messages: Iterable[feed.FeedMessage], selection: Selection) -> list[Part]:
        """The selection of messages of this stream that memory does not hold."""
        if selection is Selection.ALL:
            return [Part(message) for message in messages]
        # Nothing is known of what came before them.
        sampler = Sampler(self._limits.comments_per_second)
        return [sampler.sample(message) for message in messages]

    def may_give(self, events: int, size: int) -> bool:
        """Whether a resume may bring so many events and bytes; over that a fresh snapshot serves better."""
        return events <= self._limits.resume_events and size <= self._limits.resume_bytes

    def encode(self, parts: Sequence[Part], encoding: Encoding) -> bytes:
        """Parts of this stream that memory does not hold."""
        return encoding.events(part_events(self.cursor.epoch, parts, self.viewers))

    def _keep_whole(self, window: Window) -> None:
        if not window.is_sampled:
            return
        self._whole.append((window, window.of(Selection.ALL).events))
        self._whole_events += self._whole[-1][1]
        # The last one is still to be shown.
        while self._whole_events > self._limits.resume_events and len(self._whole) > 1:
            oldest, events = self._whole.popleft()
            self._whole_events -= events
            self._whole_floor = oldest.last_seq
            oldest.forget_all()

    def _windows_after(self, seq: int) -> list[Window]:
        # From the end: most who come back were away for a moment.
        found = list(takewhile(lambda window: window.last_seq > seq, reversed(self._windows)))
        found.reverse()
        return found

    def _apply(self, event: pb.Event, seq: int, number: int) -> None:
        match event.WhichOneof("kind"):
            case "posted":
                self.recent.add(event.posted.comment, seq, number)
            case "deleted":
                gone = event.deleted.comment_id
                self.recent.delete(gone)
                if self.stream.pinned.comment_id == gone:
                    self.stream.ClearField("pinned")
            case "pinned":
                self.stream.pinned.CopyFrom(event.pinned.comment)
            case "unpinned":
                self.stream.ClearField("pinned")
            case "updated":
                pinned = self.stream.pinned if self.stream.HasField("pinned") else None
                self.stream = pb.Stream()
                self.stream.CopyFrom(event.updated.stream)
                if pinned is not None:
                    self.stream.pinned.CopyFrom(pinned)
            case "ending":
                self.stream.ends_at_ms = event.ending.ends_at_ms
            case "ended":
                self.stream.state = pb.STREAM_STATE_ENDED
                self.stream.ended_at_ms = event.ended.ended_at_ms
