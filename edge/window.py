"""What travels to viewers at once: whole, and as the sample of it that one viewer can read. Pure."""

from collections.abc import Sequence

from edge.encodings import Encoding
from edge.events import FeedEvent
from edge.sampling import Part, Selection, part_events
from livecomments.v1 import feed_service_pb2 as feed


class Portion:
    """One selection of a window, encoded once for each encoding in use."""

    __slots__ = ("_encoded", "_epoch", "_events", "_viewers", "comments", "events", "omitted", "parts")

    def __init__(self, epoch: str, parts: Sequence[Part], viewers: int) -> None:
        self.parts = parts
        """One for each message of the log, in its order; never empty."""
        self.omitted = sum(part.omitted for part in parts)
        """Comments that were left out."""
        self.events = sum(len(part.message.events.events) for part in parts)
        """How many are given: comments and others."""
        self.comments = sum(part.comments for part in parts)
        self._epoch = epoch
        self._viewers = viewers
        self._events: list[FeedEvent] | None = None
        self._encoded: dict[str, bytes] = {}

    def encoded(self, encoding: Encoding) -> bytes:
        """All of it."""
        data = self._encoded.get(encoding.name)
        if data is None:
            if self._events is None:
                self._events = part_events(self._epoch, self.parts, self._viewers)
            data = self._encoded[encoding.name] = encoding.events(self._events)
        return data

    def after(self, seq: int, encoding: Encoding) -> bytes:
        """What is behind ``seq``: another edge cut its windows elsewhere, or a client saw only a part of this one."""
        if self.parts[0].message.seq > seq:
            return self.encoded(encoding)
        unseen = [part for part in self.parts if part.message.seq > seq]
        return encoding.events(part_events(self._epoch, unseen, self._viewers))


class Window:
    """What fanout sent at once. Where nothing was left out both selections are one, and so are their bytes."""

    __slots__ = ("_all", "_sample", "at", "last_seq")

    def __init__(
        self, epoch: str, messages: Sequence[feed.FeedMessage], sample: Sequence[Part], viewers: int, at: float
    ) -> None:
        """``messages``: in the log's order, never empty; ``sample``: a part of each; ``at``: monotonic seconds."""
        self._sample = Portion(epoch, sample, viewers)
        self._all = Portion(epoch, list(map(Part, messages)), viewers) if self._sample.omitted else self._sample
        self.last_seq = sample[-1].message.seq
        self.at = at

    @property
    def is_sampled(self) -> bool:
        """Something was left out."""
        return bool(self._sample.omitted)

    def forget_all(self) -> None:
        """From now on there is no more than the sample; nobody may ask for all of it."""
        self._all = self._sample

    def of(self, selection: Selection) -> Portion:
        """What viewers of this selection are given."""
        return self._all if selection is Selection.ALL else self._sample
