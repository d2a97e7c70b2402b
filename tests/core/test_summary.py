"""What a stretch of the log says in short."""

from array import array
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gist import Change, Comments, Gist
from core.limits import UserLimits, UserRate
from core.requests import Requests
from core.summary import Stretch, Summary, linked, read_charges, read_summary
from livecomments.v1.comment_pb2 import CommentDeleted, Event

START_MS = 1_700_000_000_000
DELETED = Event(deleted=CommentDeleted(comment_id="c"))

gists = st.one_of(
    st.builds(Comments, st.just(START_MS), st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5)),
    st.just(Change(DELETED)),
    st.none(),
)


def stretch_of(messages: Sequence[Gist], after_seq: int = 6) -> Stretch:
    """Of messages 10, 20 and so on, a second apart."""
    stretch = Stretch(after_seq)
    for number, gist in enumerate(messages, 1):
        stretch.learn(number * 10, START_MS + number * 1_000, gist)
    return stretch


def summary_of(messages: Sequence[Gist]) -> Summary:
    summary = read_summary(stretch_of(messages).write_summary("e"), "e")
    assert summary is not None
    return summary


@given(st.lists(gists, min_size=1, max_size=8))
def test_a_summary_says_what_its_messages_say(messages: list[Gist]) -> None:
    summary = summary_of(messages)
    assert summary.after_seq == 6
    assert list(summary.seqs) == [number * 10 for number in range(1, len(messages) + 1)]
    assert list(summary.times_ms) == [START_MS + seq * 100 for seq in summary.seqs]
    digests = iter(summary.digests)
    for gist, count in zip(messages, summary.counts, strict=True):
        said = gist.digests if isinstance(gist, Comments) else []
        assert [next(digests) for _ in range(count)] == said
    assert summary.changes == [
        (seq, DELETED) for seq, gist in zip(summary.seqs, messages, strict=True) if isinstance(gist, Change)
    ]


@given(st.lists(gists, min_size=1, max_size=4), gists)
def test_it_ends_with_its_last_message_and_no_other(messages: list[Gist], other: Gist) -> None:
    summary = summary_of(messages)
    last = summary.last_seq
    assert summary.ends_with(last, messages[-1])
    assert not summary.ends_with(last + 1, messages[-1])
    assert summary.ends_with(last, other) == (other == messages[-1])


@given(st.lists(st.lists(st.integers(0, 9), max_size=4, unique=True), min_size=1, max_size=8), st.integers(0, 200_000))
def test_many_messages_are_remembered_at_once_as_one_by_one(messages: list[list[int]], later_ms: int) -> None:
    one_by_one, at_once = Requests(10), Requests(10)
    times = [START_MS + number * 20_000 for number in range(len(messages))]
    seqs = range(1, len(messages) + 1)
    for seq, at_ms, digests in zip(seqs, times, messages, strict=True):
        one_by_one.remember(seq, at_ms, digests)
    at_once.remember_many(seqs, times, list(map(len, messages)), array("Q", [d for each in messages for d in each]))
    for requests in (one_by_one, at_once):
        requests.forget(times[0] + later_ms)
    assert len(one_by_one) == len(at_once)
    for digest in range(10):
        assert one_by_one.find(digest) == at_once.find(digest)


def test_charges_say_what_authors_have_spent_by_now() -> None:
    ours, theirs = (UserLimits(UserRate(1, 10)) for _ in range(2))
    stretch = stretch_of([None])
    for user, at_ms in (("ann", 0), ("bob", 500), ("ann", 800), ("cem", 200)):
        stretch.charge(ours.charge([user], START_MS + at_ms), START_MS + at_ms)
    charges = read_charges(stretch.write_charges("e"), "e")
    assert charges is not None
    assert (charges.after_seq, charges.last_seq) == (6, 10)
    theirs.restore(charges.user_ids, charges.full_at_ms, charges.last_ms)
    for user in ("ann", "bob", "cem"):
        assert theirs.full_at(user) == ours.full_at(user) is not None
    assert len(theirs) == 3
    for limits in (ours, theirs):
        limits.forget(START_MS + 1_700, 0)
        assert limits.full_at("ann") is not None
        limits.forget(START_MS + 2_000, 0)
        assert len(limits) == 0, "who may post freely is forgotten"


def test_what_is_of_another_life_of_the_log_is_none() -> None:
    stretch = stretch_of([Comments(START_MS, [1])])
    assert read_summary(stretch.write_summary("e"), "another") is None
    assert read_charges(stretch.write_charges("e"), "another") is None


def packed(*fields: object) -> bytes:
    return msgspec.msgpack.encode(fields)


EIGHT, FOUR = b"\1" + bytes(7), b"\1" + bytes(3)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff" * 40,
        packed(1, "e", 0, b"", b"", b"", b"", []),
        packed(1, "e", 0, EIGHT, EIGHT, FOUR, b"", []),
        packed(1, "e", 0, EIGHT, b"", FOUR, EIGHT, []),
        packed(1, "e", 0, EIGHT[:5], EIGHT, FOUR, EIGHT, []),
        packed(1, "e", 7, EIGHT, EIGHT, FOUR, EIGHT, []),
        packed(1, "e", 0, EIGHT, EIGHT, FOUR, EIGHT, [(1, b"\xff")]),
        packed(1, "e", 0, EIGHT, EIGHT, FOUR, EIGHT, [], "more"),
        packed(2, "e", 0, EIGHT, EIGHT, FOUR, EIGHT, []),
    ],
)
def test_what_no_core_wrote_is_no_summary(raw: bytes) -> None:
    assert read_summary(packed(1, "e", 0, EIGHT, EIGHT, FOUR, EIGHT, []), "e") is not None
    assert read_summary(raw, "e") is None


@pytest.mark.parametrize("raw", [b"", packed(2, "e", 0, 1, ["ann"], b"", b""), packed(2, "e", 0, 1, [], b"\1", b"")])
def test_what_no_core_wrote_are_no_charges(raw: bytes) -> None:
    assert read_charges(raw, "e") is None


def span(after_seq: int, last_seq: int) -> Summary:
    return Summary(after_seq, [last_seq], [START_MS], [0], [], [])


@pytest.mark.parametrize(
    ("left", "last_seq", "chain"),
    [
        ([], 9, []),
        ([(0, 3), (3, 5), (5, 9)], 9, [(0, 3), (3, 5), (5, 9)]),
        ([(5, 9), (0, 3), (3, 5)], 20, [(0, 3), (3, 5), (5, 9)]),
        ([(0, 3), (5, 9)], 9, [(5, 9)]),
        ([(0, 3), (3, 5), (5, 9)], 8, [(0, 3), (3, 5)]),
        ([(0, 3), (0, 4), (3, 5), (4, 8)], 9, [(0, 4), (4, 8)]),
    ],
    ids=["none", "in order", "in any order", "with a gap", "ahead of the log", "of two that both own it"],
)
def test_they_lead_without_a_gap_to_the_newest(
    left: list[tuple[int, int]], last_seq: int, chain: list[tuple[int, int]]
) -> None:
    found = linked([span(*each) for each in left], last_seq)
    assert [(each.after_seq, each.last_seq) for each in found] == chain


def test_a_stretch_is_long_by_messages_comments_or_changes() -> None:
    assert not stretch_of([Comments(START_MS, [1])] * 499).is_long
    assert stretch_of([Comments(START_MS, [1])] * 500).is_long
    assert stretch_of([Comments(START_MS, [1] * 1_000)] * 5).is_long
    assert stretch_of([Change(Event(deleted=CommentDeleted(comment_id="c" * 300_000)))]).is_long
