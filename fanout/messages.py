"""What the log gives, and what subscribers get of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from google.protobuf.message import DecodeError

from fanout import wire
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import EventBatch
from livecomments.v1.feed_service_pb2 import FeedBatch, FeedMessage


@dataclass(frozen=True, slots=True)
class LogMessage:
    """One message of the log: events that were committed together."""

    seq: int
    events: EventBatch
    """Without request digests, which are core's alone. Empty when the log held something else than events."""
    encoded: bytes
    """A FeedBatch with this message alone; several are joined by concatenation."""

    @classmethod
    def decode(cls, seq: int, data: bytes) -> "LogMessage":
        """Reads an EventBatch. What can't be read counts as a message without events: it must not stop the feed."""
        batch = FeedBatch()
        message = batch.messages.add(seq=seq)
        try:
            message.events.MergeFromString(data)
        except DecodeError:
            log().error("a message of the log can't be read", seq=seq, size=len(data))
            return cls(seq, EventBatch(), b"")
        for event in message.events.events:
            if event.HasField("posted"):
                event.posted.ClearField("request_digest")
        return cls(seq, message.events, batch.SerializeToString())

    @classmethod
    def relayed(cls, message: FeedMessage) -> "LogMessage":
        """One that another fanout has read."""
        return cls(message.seq, message.events, FeedBatch(messages=[message]).SerializeToString())


@dataclass(frozen=True, slots=True)
class Entry:
    """A log message as it is kept and sent."""

    seq: int
    encoded: bytes
    events: int
    """How many."""

    @classmethod
    def of(cls, message: LogMessage) -> "Entry":
        return cls(message.seq, message.encoded, len(message.events.events))


@dataclass(frozen=True)
class Window:
    """Consecutive messages of one topic that travel together, oldest first; at least one."""

    stream_id: str
    entries: tuple[Entry, ...]

    @property
    def first_seq(self) -> int:
        return self.entries[0].seq

    @property
    def last_seq(self) -> int:
        return self.entries[-1].seq

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return sum(len(entry.encoded) for entry in self.entries)

    @cached_property
    def batch(self) -> bytes:
        """The FeedBatch."""
        return b"".join(entry.encoded for entry in self.entries)

    @cached_property
    def relay(self) -> bytes:
        """The RelayResponse."""
        return wire.relay_batch(self.stream_id, self.batch)

    @cached_property
    def watch(self) -> bytes:
        """The WatchResponse."""
        return wire.watch_batch(self.batch)

    def after(self, seq: int) -> "Window | None":
        """What stands after ``seq``: the window itself when that is all of it, None when it is nothing."""
        if seq < self.first_seq:
            return self
        entries = tuple(entry for entry in self.entries if entry.seq > seq)
        return Window(self.stream_id, entries) if entries else None


def in_pieces(stream_id: str, entries: Sequence[Entry], max_bytes: int) -> Iterable[Window]:
    """Cuts a long run into windows of at most ``max_bytes`` each; a message that is larger goes alone."""
    piece: list[Entry] = []
    size = 0
    for entry in entries:
        if piece and size + len(entry.encoded) > max_bytes:
            yield Window(stream_id, tuple(piece))
            piece, size = [], 0
        piece.append(entry)
        size += len(entry.encoded)
    if piece:
        yield Window(stream_id, tuple(piece))
