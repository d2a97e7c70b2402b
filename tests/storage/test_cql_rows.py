"""How comments lie in CQL's tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecomments.v1.comment_pb2 import Comment
from storage.cql.options import compaction
from storage.cql.rows import (
    BATCH_BYTES,
    Span,
    beginning_of,
    behind,
    bucket_of,
    chunks,
    deleted_at_us,
    steps,
    ttl_s,
    written_at_us,
)
from storage.store import Batch, Deletion, End, Place, StoredComment


def row(seq: int, index: int = 0, offset_ms: int = 0, stream_id: str = "demo", text: str = "x") -> StoredComment:
    return StoredComment(Place(offset_ms, seq, index), Comment(stream_id=stream_id, text=text, offset_ms=offset_ms))


sizes = st.lists(st.integers(0, 4), max_size=12)


@given(sizes=sizes, after=st.integers(0, 5), most=st.integers(1, 6))
def test_a_batch_in_steps_is_the_batch(sizes: list[int], after: int, most: int) -> None:
    messages = range(after + 1, after + 1 + len(sizes))
    comments = tuple(row(seq, index) for seq, size in zip(messages, sizes, strict=True) for index in range(size))
    others = [seq for seq, size in zip(messages, sizes, strict=True) if size == 0]
    deletions = tuple(Deletion("demo", "id", 0, seq) for seq in others[::2])
    ends = tuple(End("demo", 0, seq) for seq in others[1::2])
    batch = Batch(0, "e1", after, after + len(sizes), comments, deletions, ends)
    parts = list(steps(batch, most))
    assert sum((part.comments for part in parts), ()) == comments
    assert sum((part.deletions for part in parts), ()) == deletions
    assert sum((part.ends for part in parts), ()) == ends
    at = after
    for part in parts:
        assert part.after_seq == at
        at = part.through_seq
        assert len(part.comments) < most + 4
        for what in (*part.comments, *part.deletions, *part.ends):
            seq = what.place.seq if isinstance(what, StoredComment) else what.seq
            assert part.after_seq < seq <= part.through_seq
    assert at == batch.through_seq
    rest = behind(batch, after + 2)
    assert [comment.place.seq for comment in rest.comments] == [
        comment.place.seq for comment in comments if comment.place.seq > after + 2
    ]


def test_a_write_holds_one_partition_and_no_more_than_it_may() -> None:
    rows = [row(seq, offset_ms=seq * 100, stream_id=f"s{seq % 2}", text="ü" * 500) for seq in range(300)]
    parts = chunks(rows)
    for part in parts:
        assert {(each.comment.stream_id, bucket_of(each.place.offset_ms)) for each in part.rows} == {
            (part.stream_id, part.bucket)
        }
        assert sum(map(len, part.blobs)) < part.size <= BATCH_BYTES
    assert sorted(each.place.seq for part in parts for each in part.rows) == list(range(300))


def test_a_comment_that_is_too_large_goes_alone() -> None:
    parts = chunks([row(1), row(2, text="x" * (BATCH_BYTES + 1)), row(3)])
    assert [[each.place.seq for each in part.rows] for part in parts] == [[1], [2], [3]]


def test_a_deletion_is_above_what_it_deletes_and_below_the_next_moment() -> None:
    assert written_at_us(5) < deleted_at_us(5) < written_at_us(6)


def test_a_comment_lives_as_long_after_it_was_posted_however_late_it_is_written() -> None:
    assert ttl_s(1_000_000, 1_000_000, 60) == 60
    assert ttl_s(1_000_000, 1_050_000, 60) == 10
    assert ttl_s(1_000_000, 9_000_000, 60) == 1
    assert ttl_s(9_000_000, 1_000_000, 60) == 60


def test_windows_of_compaction_are_a_thirtieth_of_the_retention() -> None:
    assert "'compaction_window_size': 1}" in compaction(7)
    assert "'compaction_window_size': 12}" in compaction(365)
    assert "'compaction_window_size': 30}" in compaction(None)


@pytest.mark.parametrize(
    ("low", "high", "buckets"),
    [
        (Place(0, 0, 0), Place(60_000, 0, 0), (0, 5)),
        (Place(9_999, 7, 1), Place(60_000, 1, 0), (0, 6)),
        (beginning_of(3), beginning_of(4), (3, 3)),
    ],
)
def test_a_span_reaches_into_no_partition_that_holds_nothing_of_it(
    low: Place, high: Place, buckets: tuple[int, int]
) -> None:
    assert Span(low, high).buckets == buckets
