"""Is something missing? Puts live messages, which may be lost, doubled or late, into the log's order.

Plain code: messages in, messages out.
"""

from collections.abc import Sequence
from enum import Enum

from fanout.messages import LogMessage


class Verdict(Enum):
    """What a live message is, seen from the last one that was passed on."""

    DROP = "drop"
    """Passed on before."""
    PASS = "pass"  # noqa: S105 (not a password)
    """The next one."""
    GAP = "gap"
    """Something between is missing."""


def judge(last: int, seq: int, previous: int) -> Verdict:
    """Compares a message's ``seq`` and ``previous`` (its Nats-Last-Sequence: the one before it on its subject) with
    the ``last`` that was passed on. A ``previous`` of 0, or below ours, follows a purge and is no gap.
    """
    if seq <= last:
        return Verdict.DROP
    return Verdict.GAP if previous > last else Verdict.PASS


class Sequencer:
    """Gives each message of a subject once, in the log's order, whatever the live subscription does to them.

    Until ``open`` everything is held. What can't be passed on yet is held up to ``hold_bytes``; beyond that it is
    forgotten, and the log must be asked for it (``wanted``).
    """

    def __init__(self, hold_bytes: int) -> None:
        self._hold_bytes = hold_bytes
        self._held: dict[int, tuple[int, LogMessage]] = {}
        self._held_bytes = 0
        self._opened = False
        self._known = 0
        self.last = 0
        """Everything up to here was passed on."""

    @property
    def wanted(self) -> int:
        """The log has messages after ``last``, up to this seq, that did not arrive; 0 when nothing is missing."""
        return self._known if self._opened and self._known > self.last else 0

    def open(self, last: int) -> list[LogMessage]:
        """Begins after ``last``; gives what follows it at once."""
        self._opened = True
        self.last = last
        return self._link()

    def heard(self, message: LogMessage, previous: int) -> list[LogMessage]:
        """Takes a live message; gives what may be passed on now."""
        if self._opened:
            verdict = judge(self.last, message.seq, previous)
            if verdict is Verdict.DROP:
                return []
            if verdict is Verdict.PASS:
                self.last = message.seq
                return [message, *self._link()]
        self._hold(message, previous)
        return []

    def fetched(self, messages: Sequence[LogMessage], through: int) -> list[LogMessage]:
        """Takes what the log holds of the subject from ``last``, as it was when it was asked, up to ``through``, all
        of it and in order; gives what may be passed on now.
        """
        passed = []
        for message in messages:
            if message.seq > self.last:
                self.last = message.seq
                passed.append(message)
        self.last = max(self.last, through)
        return passed + self._link()

    def _hold(self, message: LogMessage, previous: int) -> None:
        self._known = max(self._known, previous)
        if message.seq in self._held:
            return
        if self._held_bytes + len(message.encoded) > self._hold_bytes:
            self._known = max(self._known, message.seq, *self._held)
            self._held.clear()
            self._held_bytes = 0
            return
        self._held[message.seq] = (previous, message)
        self._held_bytes += len(message.encoded)

    def _link(self) -> list[LogMessage]:
        passed = []
        for seq in sorted(self._held):
            previous, message = self._held[seq]
            verdict = judge(self.last, seq, previous)
            if verdict is Verdict.GAP:
                break
            del self._held[seq]
            self._held_bytes -= len(message.encoded)
            if verdict is Verdict.PASS:
                self.last = seq
                passed.append(message)
        return passed
