"""How comments lie in the tables: partitions, timestamps, times to live, and the pieces that a write is cut into. Pure.

Timestamps decide what a row is when writes come late, twice, or from a writer that slept: the database keeps what has
the highest, and of equals the deletion. Ours come from the log: a comment is written with the time at which it was
posted, its deletion one microsecond above. So whoever writes a comment, and however often, a deletion stands.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from operator import attrgetter

from storage.store import FIRST, LAST, Batch, Place, StoredComment

BUCKET_MS = 10_000
BATCH_BYTES = 32 * 1024
"""Most of one write: larger ones hold up those behind them, and the servers warn."""
TOMBSTONES_S = 1_209_600
"""How long a deletion is kept at least: ``gc_grace_seconds`` of the schema."""

_ROW_BYTES = 100
"""All of a row but its comment, about."""
_by_seq = attrgetter("seq")


def bucket_of(offset_ms: int) -> int:
    return offset_ms // BUCKET_MS


def written_at_us(posted_at_ms: int) -> int:
    """Timestamp of a comment's row, and of what is written with it."""
    return posted_at_ms * 1_000


def deleted_at_us(posted_at_ms: int) -> int:
    """Timestamp of the deletion of a comment that was posted then."""
    return written_at_us(posted_at_ms) + 1


def ttl_s(posted_at_ms: int, now_ms: int, retention_s: int) -> int:
    """How long a comment lives from now on, 1 s or more: ``retention_s`` after it was posted, also when it is written
    again.
    """
    return max(1, retention_s - max(0, now_ms - posted_at_ms) // 1_000)


@dataclass(slots=True)
class Chunk:
    """Comments of one partition, at most BATCH_BYTES unless it is a single one."""

    stream_id: str
    bucket: int
    rows: list[StoredComment] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    """Their comments as they are written: each a serialized ``livecomments.v1.Comment``."""
    size: int = 0
    """Bytes, about."""


def chunks(rows: Iterable[StoredComment]) -> list[Chunk]:
    """All of them, cut by partition and size."""
    done: list[Chunk] = []
    filling: dict[tuple[str, int], Chunk] = {}
    for row in rows:
        key = row.comment.stream_id, bucket_of(row.place.offset_ms)
        blob = row.comment.SerializeToString()
        size = _ROW_BYTES + len(blob)
        chunk = filling.get(key)
        if chunk is None or chunk.size + size > BATCH_BYTES:
            chunk = filling[key] = Chunk(*key)
            done.append(chunk)
        chunk.rows.append(row)
        chunk.blobs.append(blob)
        chunk.size += size
    return done


def steps(batch: Batch, comments_max: int) -> Iterator[Batch]:
    """The batch in consecutive parts of whole messages, each of ``comments_max`` comments or a message more."""
    rest = batch
    while len(rest.comments) > comments_max:
        last = rest.comments[comments_max - 1].place.seq
        if last == rest.through_seq:
            break
        yield _through(rest, last)
        rest = behind(rest, last)
    yield rest


def behind(batch: Batch, seq: int) -> Batch:
    """What of the batch stands behind ``seq`` in the log."""
    if seq <= batch.after_seq:
        return batch
    return replace(
        batch,
        after_seq=seq,
        comments=batch.comments[bisect_right(batch.comments, seq, key=_seq_of) :],
        deletions=batch.deletions[bisect_right(batch.deletions, seq, key=_by_seq) :],
        ends=batch.ends[bisect_right(batch.ends, seq, key=_by_seq) :],
    )


def _through(batch: Batch, seq: int) -> Batch:
    return replace(
        batch,
        through_seq=seq,
        comments=batch.comments[: bisect_right(batch.comments, seq, key=_seq_of)],
        deletions=batch.deletions[: bisect_right(batch.deletions, seq, key=_by_seq)],
        ends=batch.ends[: bisect_right(batch.ends, seq, key=_by_seq)],
    )


def _seq_of(row: StoredComment) -> int:
    return row.place.seq


@dataclass(frozen=True, slots=True)
class Span:
    """The places between two, neither of them included."""

    low: Place
    high: Place

    @property
    def buckets(self) -> tuple[int, int]:
        """The first and the last partition that it reaches into."""
        high = self.high
        # No comment has seq 0: such a place stands before all of its millisecond.
        return bucket_of(self.low.offset_ms), bucket_of(high.offset_ms - (high.seq == 0))

    def first_bucket(self) -> int | None:
        """None when it has no beginning, or nothing lies in it."""
        first, last = self.buckets
        return None if self.low == FIRST or first > last else first

    def last_bucket(self) -> int | None:
        """None when it has no end, or nothing lies in it."""
        first, last = self.buckets
        return None if self.high == LAST or first > last else last


def beginning_of(bucket: int) -> Place:
    """The place before all comments of a partition, and behind all of those before."""
    return Place(bucket * BUCKET_MS, 0, 0)
