"""Which posts were seen before: what makes the repetition of a post safe (design.md, section 3.5)."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

REMEMBERED_MS = 120_000
REMEMBERED_MAX = 1_000_000

_INDEX_BITS = 16


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
    digest = blake2b(f"{author_id}\0{request_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


class Requests:
    """The requests of one stream that were committed in the last two minutes, at most a million."""

    def __init__(self, remembered_max: int = REMEMBERED_MAX) -> None:
        self._max = remembered_max
        # Place as one int: at a million entries a tuple each would be twice the memory.
        self._places: dict[int, int] = {}
        self._batches: deque[tuple[int, int, Sequence[int]]] = deque()

    def __len__(self) -> int:
        return len(self._places)

    def find(self, digest: int) -> Place | None:
        packed = self._places.get(digest)
        return None if packed is None else Place(packed >> _INDEX_BITS, packed & (1 << _INDEX_BITS) - 1)

    def remember(self, seq: int, at_ms: int, digests: Sequence[int]) -> None:
        """A message was committed; ``digests[i]`` is the request of its event ``i``, 0 for none.

        Messages come in the log's order, so ``at_ms`` never falls.
        """
        first = seq << _INDEX_BITS
        self._places.update(zip(digests, range(first, first + len(digests)), strict=True))
        self._places.pop(0, None)
        self._batches.append((at_ms, seq, digests))

    def forget(self, at_ms: int) -> None:
        """Drops what is older than two minutes at ``at_ms``, and the oldest when there are too many."""
        batches, places = self._batches, self._places
        while batches and (batches[0][0] <= at_ms - REMEMBERED_MS or len(places) > self._max):
            _, seq, digests = batches.popleft()
            for digest in digests:
                # A request that was forgotten and came again belongs to a later message.
                if digest and places.get(digest, -1) >> _INDEX_BITS == seq:
                    del places[digest]
