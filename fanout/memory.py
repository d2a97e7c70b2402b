"""What a topic knows of its stream at its head: windows, comments, state. Plain code."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fanout.messages import Entry, LogMessage, Window
from fanout.ring import Placed, RecentComments, Ring
from fanout.settings import FanoutSettings
from fanout.state import StreamState
from livecomments.cursor import Cursor
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, Stream, StreamEnded
from livecomments.v1.feed_service_pb2 import Snapshot


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a topic begins: the state at ``head``."""

    head: int
    """Nothing of the stream stands in the log at or before it that is not accounted for here."""
    floor: int
    """``messages`` hold everything after it, through ``head``."""
    ended: StreamEnded | None = None
    """The stream's end, where that is the last message, at ``head``."""
    comments: Sequence[Placed] = ()
    """The store's latest, oldest first; they come before ``messages``."""
    messages: Sequence[LogMessage] = field(default=())
    """The log's, oldest first."""
    from_first: bool = False
    """No comment of the stream is older than these."""


class FeedMemory:
    """Answers who joins. Everything it says is as of ``head``, the last message that subscribers were sent."""

    def __init__(self, settings: FanoutSettings, epoch: str, registered: Stream, beginning: Beginning, now: float):
        """``registered`` must have been read before ``beginning``: an end that it knows of is then behind ``head``."""
        self._stream_id = registered.stream_id
        self._epoch = epoch
        self._ring = Ring(beginning.floor, settings.fanout_resume_s, settings.fanout_ring_bytes)
        self._recent = RecentComments(settings.fanout_ring, beginning.comments, from_first=beginning.from_first)
        self._state = StreamState()
        if registered.state == STREAM_STATE_ENDED:
            self._state.end(registered.ended_at_ms, 0)
        if beginning.ended is not None:
            self._state.end(beginning.ended.ended_at_ms, beginning.head)
        if messages := [message for message in beginning.messages if message.events.events]:
            self.take(messages, now)
        self.head = beginning.head

    def take(self, messages: Sequence[LogMessage], now: float) -> Window:
        """Moves the head over the next messages (at least one, each with events), and gives them as a window."""
        for message in messages:
            for number, event in enumerate(message.events.events):
                self._recent.apply(event, message.seq, number)
                self._state.apply(event, message.seq)
        window = Window(self._stream_id, tuple(Entry.of(message) for message in messages))
        self._ring.add(window, now)
        self.head = window.last_seq
        return window

    def expire(self, now: float) -> None:
        """Forgets windows that are too old."""
        self._ring.expire(now)

    @property
    def ended(self) -> bool:
        """The head has passed the stream's end."""
        return self._state.ended_at_ms is not None

    def stream(self, registered: Stream) -> Stream:
        """The stream at the head; ``registered`` is the registry's newest word on it."""
        return self._state.stream(registered, self.head)

    def snapshot(self, registered: Stream, comments: int) -> Snapshot:
        """The state at the head, with at most so many comments, oldest first."""
        latest = self._recent.latest(comments)
        return Snapshot(
            stream=self.stream(registered),
            comments=[placed.comment for placed in latest],
            cursor=str(Cursor(self._epoch, self.head)),
            comment_seqs=[placed.seq for placed in latest],
            comment_indices=[placed.number for placed in latest],
            from_first=self._recent.from_first and len(latest) == len(self._recent),
        )

    def recovered(self, registered: Stream, seq: int) -> Snapshot:
        """What someone is told who goes on from ``seq``, behind or ahead of the head."""
        return Snapshot(
            stream=self._state.stream(registered, seq), cursor=str(Cursor(self._epoch, seq)), recovered=True
        )

    def covers(self, seq: int) -> bool:
        """Whether ``after(seq)`` would be complete."""
        return self._ring.covers(seq)

    def after(self, seq: int) -> list[Entry]:
        """Every message between ``seq`` and the head; ``covers(seq)`` must hold."""
        return self._ring.after(seq)
