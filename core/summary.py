"""What a stretch of a stream's log says, as far as a core needs it that takes the stream over. Pure.

The owner sums up what it appended every second or so while a stream is busy. Two minutes of 10,000 comments/s are some
hundred thousand messages of the log, but a few hundred summaries, and all in them is laid down as it is used: numbers
in a row. Nothing is true by a summary: what it says stands in the log, and can be read there.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from google.protobuf.message import DecodeError

from core.gist import Change, Comments, Gist
from livecomments.v1.comment_pb2 import Event

_MESSAGES = 500
_COMMENTS = 5_000
_CHANGES_BYTES = 256 * 1024
_AUTHORS = 6_000
"""How long a stretch is, the message that makes it long enough included: with names of the greatest length its charges
still fit into a message of nats-server's.
"""
_NUMBER, _COUNT, _TIME = "Q", "I", "d"
"""64 and 32 bits, and a double; as they lie in memory, which is little-endian wherever a core runs."""


@dataclass(frozen=True, slots=True)
class Summary:
    """All messages of a stream from behind one up to another: at least one."""

    after_seq: int
    """The stream's last message before them; 0 for none."""
    seqs: Sequence[int]
    times_ms: Sequence[int]
    """For each of them: when the last comment up to it was posted."""
    counts: Sequence[int]
    """For each of them: how many comments it holds."""
    digests: Sequence[int]
    """The request of each comment, in order; 0 for none."""
    changes: Sequence[tuple[int, Event]]
    """What else happened, in order, with the sequence of each."""

    @property
    def last_seq(self) -> int:
        return self.seqs[-1]

    def ends_with(self, seq: int, gist: Gist) -> bool:
        """Whether the last of them is the message ``seq``, with this gist."""
        if seq != self.last_seq:
            return False
        match gist:
            case Comments(_, digests):
                return 0 < len(digests) == self.counts[-1] and list(self.digests[-len(digests) :]) == list(digests)
            case Change(event):
                return (seq, event) in self.changes[-1:]
        return self.counts[-1] == 0 and seq not in (at for at, _ in self.changes[-1:])


@dataclass(frozen=True, slots=True)
class Charges:
    """What the authors of a stretch had spent at its end."""

    after_seq: int
    last_seq: int
    user_ids: Sequence[str]
    full_at_ms: Sequence[float]
    last_ms: Sequence[int]
    """As in UserLimits, for each of them."""


class _SummaryForm(msgspec.Struct, array_like=True, forbid_unknown_fields=True, tag=1):
    epoch: str
    after_seq: int
    seqs: bytes
    times_ms: bytes
    counts: bytes
    digests: bytes
    changes: list[tuple[int, bytes]]


class _ChargesForm(msgspec.Struct, array_like=True, forbid_unknown_fields=True, tag=2):
    epoch: str
    after_seq: int
    last_seq: int
    user_ids: list[str]
    full_at_ms: bytes
    last_ms: bytes


_encoder = msgspec.msgpack.Encoder()
_summary_decoder = msgspec.msgpack.Decoder(_SummaryForm)
_charges_decoder = msgspec.msgpack.Decoder(_ChargesForm)


class Stretch:
    """Gathers what a ledger learns, until it is long enough for a summary."""

    def __init__(self, after_seq: int) -> None:
        self._after_seq = after_seq
        self._seqs = array(_NUMBER)
        self._times_ms = array(_NUMBER)
        self._counts = array(_COUNT)
        self._digests = array(_NUMBER)
        self._changes: list[tuple[int, bytes]] = []
        self._changes_size = 0
        self._full_at_ms: dict[str, float] = {}
        self._last_ms: dict[str, int] = {}

    @property
    def is_long(self) -> bool:
        """It is time for a summary: a busy stream has one every second or so."""
        return len(self._seqs) >= _MESSAGES or len(self._digests) >= _COMMENTS or self._changes_size >= _CHANGES_BYTES

    @property
    def is_too_long(self) -> bool:
        """Its charges may not fit into a message: who takes a stream over may learn those of an hour at once."""
        return len(self._full_at_ms) > _AUTHORS

    def learn(self, seq: int, at_ms: int, gist: Gist) -> None:
        """The next message; ``at_ms``: when the last comment up to it was posted."""
        count = 0
        match gist:
            case Comments(_, digests):
                count = len(digests)
                self._digests.extend(digests)
            case Change(event):
                written = event.SerializeToString()
                self._changes.append((seq, written))
                self._changes_size += len(written)
        self._seqs.append(seq)
        self._times_ms.append(at_ms)
        self._counts.append(count)

    def charge(self, full_at_ms: Mapping[str, float], at_ms: int) -> None:
        """When the buckets of authors who posted at ``at_ms`` are full again; others do no harm."""
        self._full_at_ms.update(full_at_ms)
        self._last_ms.update(dict.fromkeys(full_at_ms, at_ms))

    def write_summary(self, epoch: str) -> bytes:
        """The summary of at least one message, of the log's life ``epoch``."""
        return _encoder.encode(
            _SummaryForm(
                epoch,
                self._after_seq,
                self._seqs.tobytes(),
                self._times_ms.tobytes(),
                self._counts.tobytes(),
                self._digests.tobytes(),
                self._changes,
            )
        )

    def write_charges(self, epoch: str) -> bytes:
        """What its authors had spent at its end."""
        user_ids = list(self._full_at_ms)
        full_at_ms = array(_TIME, self._full_at_ms.values())
        # Both were filled with the same keys in one order.
        last_ms = array(_NUMBER, self._last_ms.values())
        return _encoder.encode(
            _ChargesForm(epoch, self._after_seq, self._seqs[-1], user_ids, full_at_ms.tobytes(), last_ms.tobytes())
        )


def read_summary(raw: bytes, epoch: str) -> Summary | None:
    """A summary of this life of the log; None for what no core of this version wrote, or of another life."""
    try:
        form = _summary_decoder.decode(raw)
        summary = Summary(
            form.after_seq,
            array(_NUMBER, form.seqs),
            array(_NUMBER, form.times_ms),
            array(_COUNT, form.counts),
            array(_NUMBER, form.digests),
            [(seq, Event.FromString(event)) for seq, event in form.changes],
        )
    except (msgspec.MsgspecError, ValueError, DecodeError):
        return None
    messages = len(summary.seqs)
    is_whole = (
        messages > 0
        and len(summary.times_ms) == len(summary.counts) == messages
        and sum(summary.counts) == len(summary.digests)
        and summary.after_seq < summary.seqs[0]
    )
    return summary if is_whole and form.epoch == epoch else None


def read_charges(raw: bytes, epoch: str) -> Charges | None:
    """The same for charges."""
    try:
        form = _charges_decoder.decode(raw)
        charges = Charges(
            form.after_seq, form.last_seq, form.user_ids, array(_TIME, form.full_at_ms), array(_NUMBER, form.last_ms)
        )
    except (msgspec.MsgspecError, ValueError):
        return None
    is_whole = len(charges.full_at_ms) == len(charges.last_ms) == len(charges.user_ids)
    return charges if is_whole and form.epoch == epoch else None


def linked(summaries: Iterable[Summary], last_seq: int) -> list[Summary]:
    """Those that lead without a gap to the newest one that ends at ``last_seq`` or before; in the log's order.

    Cores that both believe they own the stream have each written a chain of their own: either will do.
    """
    by_end = {summary.last_seq: summary for summary in summaries if summary.last_seq <= last_seq}
    chain = []
    at = max(by_end, default=0)
    while (summary := by_end.get(at)) is not None:
        chain.append(summary)
        at = summary.after_seq
    return chain[::-1]
