"""Which posts were seen before: what makes the repetition of a post safe (design.md, section 3.5)."""

from collections import deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from struct import Struct

REMEMBERED_MS = 120_000
REMEMBERED_MAX = 1_000_000

_INDEX_BITS = 16
_TABLE_REQUESTS = 1 << 17
_TABLE_MS = REMEMBERED_MS // 8
_unpack = Struct(">Q").unpack


@dataclass(frozen=True, slots=True)
class Place:
    """Where a comment stands in the log."""

    seq: int
    index: int
    """Its event's number within the message."""


def request_digest(author_id: str, request_id: str) -> int:
    """64 bits that stand for a request of an author; 0 when the request has no id, never otherwise."""
    if not request_id:
        return 0
    (digest,) = _unpack(blake2b(f"{author_id}\0{request_id}".encode(), digest_size=8).digest())
    return digest or 1


class _Table:
    """The requests of consecutive messages: the place of each as one int, which a million entries are cheap with."""

    __slots__ = ("began_ms", "last_seq", "places")

    def __init__(self, began_ms: int) -> None:
        self.began_ms = began_ms
        self.last_seq = 0
        self.places: dict[int, int] = {}

    def is_full(self, at_ms: int) -> bool:
        return len(self.places) >= _TABLE_REQUESTS or at_ms - self.began_ms >= _TABLE_MS


class Requests:
    """The requests of one stream that were committed in the last two minutes, at most a million.

    In some ten tables, each forgotten as a whole: to drop every request by itself takes as long as to remember it, and
    one table of a million is filled half as fast. What a table holds for longer than it should is not found.
    """

    def __init__(self, remembered_max: int = REMEMBERED_MAX) -> None:
        self._max = remembered_max
        self._tables: list[_Table] = []
        """Oldest first."""
        # Numbers alone: what can refer to nothing else the garbage collector leaves alone.
        self._messages: deque[tuple[int, int, int]] = deque()
        """Time, sequence, and how many requests it brought, of each message that counts."""
        self._count = 0
        self._forgotten_seq = 0
        """No request of a message up to this one counts."""

    def __len__(self) -> int:
        return self._count

    def find(self, digest: int) -> Place | None:
        """Where a request stands."""
        return self.find_all({digest}).get(digest)

    def find_all(self, digests: AbstractSet[int]) -> dict[int, Place]:
        """Where those of these requests stand that are remembered."""
        found: dict[int, Place] = {}
        for table in self._tables:
            # One that was forgotten and came again belongs to its later message.
            for digest in table.places.keys() & digests:
                packed = table.places[digest]
                if packed >> _INDEX_BITS > self._forgotten_seq:
                    found[digest] = Place(packed >> _INDEX_BITS, packed & (1 << _INDEX_BITS) - 1)
        return found

    def remember(self, seq: int, at_ms: int, digests: Sequence[int]) -> None:
        """A message was committed; ``digests[i]`` is the request of its event ``i``, 0 for none.

        Messages come in the log's order, so ``at_ms`` never falls.
        """
        first = seq << _INDEX_BITS
        self._enter(seq, at_ms, digests, range(first, first + len(digests)))
        self._messages.append((at_ms, seq, len(digests) - digests.count(0)))
        self._count += self._messages[-1][2]

    def remember_many(
        self, seqs: Sequence[int], times_ms: Sequence[int], counts: Sequence[int], digests: Sequence[int]
    ) -> None:
        """The same for several messages, at least one: ``counts[i]`` of the digests, in order, are of message ``i``."""
        firsts = [seq << _INDEX_BITS for seq in seqs]
        places = chain.from_iterable(map(range, firsts, map(int.__add__, firsts, counts)))
        self._enter(seqs[-1], times_ms[-1], digests, places)
        if 0 in digests:
            each = iter(digests)
            counts = [sum(1 for _ in range(count) if next(each)) for count in counts]
        self._messages.extend(zip(times_ms, seqs, counts, strict=True))
        self._count += sum(counts)

    def _enter(self, last_seq: int, at_ms: int, digests: Iterable[int], places: Iterable[int]) -> None:
        if not self._tables or self._tables[-1].is_full(at_ms):
            self._tables.append(_Table(at_ms))
        table = self._tables[-1]
        table.last_seq = last_seq
        table.places.update(zip(digests, places, strict=True))
        table.places.pop(0, None)

    def forget(self, at_ms: int) -> None:
        """Drops what is older than two minutes at ``at_ms``, and the oldest when there are too many."""
        messages = self._messages
        while messages and (messages[0][0] <= at_ms - REMEMBERED_MS or self._count > self._max):
            _, self._forgotten_seq, count = messages.popleft()
            self._count -= count
        while self._tables and self._tables[0].last_seq <= self._forgotten_seq:
            del self._tables[0]
