"""How far the database is behind one shard of the log. Pure."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Lag:
    """Told by the writer as it goes, and once a second by who looks at the log from outside: so it grows, too, while
    the writer can't go on.
    """

    told: int = 0
    """How often the writer has told something: who looks from outside knows then that it was faster."""
    written_seq: int = 0
    """The last that is written."""
    _last_seq: int = 0
    _mark: tuple[int, float] = field(default=(0, 0.0))
    """A message and when it was stored: the first that is not written, or the last one known before it."""

    @property
    def messages(self) -> int:
        """How many messages the log holds that the database does not."""
        return max(0, self._last_seq - self.written_seq)

    def seconds(self, now_s: float) -> float:
        """Age of the oldest of them, at ``now_s`` since the Unix epoch; 0 when there is none. Right after a write it
        may be the age of the last that is written, until the next is looked at.
        """
        return max(0.0, now_s - self._mark[1]) if self.messages else 0.0

    def knows(self, seq: int) -> bool:
        """Whether it is known when this message was stored."""
        return self._mark[0] == seq

    def seen(self, written_seq: int, last_seq: int, oldest: tuple[int, float] | None) -> None:
        """The log ends at ``last_seq``, the database at ``written_seq``; ``oldest``: the first message between, and
        when it was stored (seconds since the Unix epoch), None for the one that is known.
        """
        self.written_seq, self._last_seq = written_seq, last_seq
        self._mark = oldest or self._mark

    def at_hand(self, seq: int, stored_at_s: float, following: int) -> None:
        """The next message to be written, and how many of the log follow it."""
        self.told += 1
        self.written_seq, self._last_seq = seq - 1, seq + following
        self._mark = (seq, stored_at_s)

    def wrote(self, seq: int, stored_at_s: float) -> None:
        """The database holds all through this message."""
        self.told += 1
        self.written_seq = seq
        self._last_seq = max(self._last_seq, seq)
        self._mark = (seq, stored_at_s)
