"""A stream as its feed leaves it: what the registry says, overruled by the events that the feed has seen.

Plain code. The registry follows the log with a delay, and a topic may be behind or ahead of it. Whatever an event has
set since the topic was opened, the feed knows better; the rest is the registry's.
"""

from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, STREAM_STATE_LIVE, Comment, Event, Stream


class StreamState:
    """The feed's own knowledge of one stream, through the last event that was applied."""

    def __init__(self) -> None:
        self.ended_at_ms: int | None = None
        """None while the feed has not come to the stream's end."""
        self._ended_seq = 0
        self._updated: Stream | None = None
        self._pinned: Comment | None = None
        self._knows_pinned = False
        self._ends_at_ms = 0

    def end(self, ended_at_ms: int, seq: int) -> None:
        """Notes an end that was not seen as an event; ``seq`` is where it stands in the log, 0 when that is unknown."""
        self.ended_at_ms, self._ended_seq = ended_at_ms, seq

    def apply(self, event: Event, seq: int) -> None:
        """Takes the next event of the log."""
        match event.WhichOneof("kind"):
            case "updated":
                self._updated = event.updated.stream
            case "pinned":
                self._pinned, self._knows_pinned = event.pinned.comment, True
            case "unpinned":
                self._pinned, self._knows_pinned = None, True
            case "deleted":
                if self._pinned is not None and self._pinned.comment_id == event.deleted.comment_id:
                    self._pinned = None
            case "ending":
                self._ends_at_ms = event.ending.ends_at_ms
            case "ended":
                self.end(event.ended.ended_at_ms, seq)
            case _:
                pass

    def stream(self, registered: Stream, cursor: int) -> Stream:
        """The stream as of ``cursor``; ``registered`` is the registry's newest word on it.

        It is ENDED if and only if ``cursor`` covers the end. The other members may be newer than ``cursor``: the
        events after it, which the subscriber gets, set them again.
        """
        stream = Stream()
        stream.CopyFrom(registered)
        if self._updated is not None:
            stream.title = self._updated.title
            stream.visibility = self._updated.visibility
            stream.slow_mode_s = self._updated.slow_mode_s
        if self._knows_pinned:
            stream.ClearField("pinned")
            if self._pinned is not None:
                stream.pinned.CopyFrom(self._pinned)
        if self._ends_at_ms:
            stream.ends_at_ms = self._ends_at_ms
        if self.ended_at_ms is not None and cursor >= self._ended_seq:
            stream.state, stream.ended_at_ms = STREAM_STATE_ENDED, self.ended_at_ms
        else:
            stream.state, stream.ended_at_ms = STREAM_STATE_LIVE, 0
        return stream
