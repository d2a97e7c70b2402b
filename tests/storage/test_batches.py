"""From the log's messages to rows, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecomments.cursor import Cursor
from livecomments.v1.comment_pb2 import Comment, Event, EventBatch
from storage.batches import LogMessage, batch_of
from storage.comment_ids import posted_at_of
from storage.store import Place
from tests.storage.broadcast import STARTED_AT_MS, comment_at, comment_id_at, deleted, ended, posted

START = Cursor("e1", 10)


def message(seq: int, batch: EventBatch | bytes, stream_id: str = "demo") -> LogMessage:
    return LogMessage(stream_id, seq, batch if isinstance(batch, bytes) else batch.SerializeToString())


comments = st.builds(
    lambda offset_ms, text, name, lag_ms: Comment(
        comment_id=comment_id_at(STARTED_AT_MS + offset_ms),
        stream_id="demo",
        author_id=name,
        author_name=name,
        text=text,
        posted_at_ms=STARTED_AT_MS + offset_ms,
        offset_ms=offset_ms,
        lag_ms=lag_ms,
        meta_json="{}",
    ),
    st.integers(0, 10**9),
    st.text(),
    st.text(max_size=20),
    st.integers(0, 60_000),
)


@given(st.lists(st.lists(comments, max_size=5), max_size=5))
def test_every_comment_becomes_a_row_at_its_place_and_comes_back_unchanged(groups: list[list[Comment]]) -> None:
    messages = [message(11 + number, posted(*group)) for number, group in enumerate(groups)]
    batch, poisons = batch_of(0, START, messages)
    assert not poisons
    assert (batch.epoch, batch.after_seq, batch.through_seq) == ("e1", 10, 10 + len(groups))
    assert [row.comment for row in batch.comments] == [comment for group in groups for comment in group]
    assert [row.place for row in batch.comments] == [
        Place(comment.offset_ms, 11 + number, index)
        for number, group in enumerate(groups)
        for index, comment in enumerate(group)
    ]


def test_deletions_and_ends_carry_their_place_in_the_log() -> None:
    gone = comment_at(5, "demo")
    batch, _ = batch_of(0, START, [message(12, deleted(gone)), message(15, ended(9), "other")])
    assert [(row.stream_id, row.comment_id, row.posted_at_ms, row.seq) for row in batch.deletions] == [
        ("demo", gone.comment_id, gone.posted_at_ms, 12)
    ]
    assert [(row.stream_id, row.ended_at_ms, row.seq) for row in batch.ends] == [("other", STARTED_AT_MS + 9, 15)]
    assert batch.through_seq == 15


def test_events_without_anything_to_keep_leave_no_row_and_are_no_poison() -> None:
    pinned, unpinned, ending, unknown = Event(), Event(), Event(), Event()
    pinned.pinned.comment.CopyFrom(comment_at(1, "demo"))
    unpinned.unpinned.SetInParent()
    ending.ending.ends_at_ms = 5
    batch, poisons = batch_of(0, START, [message(11, EventBatch(events=[pinned, unpinned, ending, unknown]))])
    assert not poisons
    assert (batch.comments, batch.deletions, batch.ends, batch.through_seq) == ((), (), (), 11)


@pytest.mark.parametrize(
    "poison",
    [
        b"not an event batch",
        deleted(Comment(comment_id="7")),
        posted(comment_at(1, "demo"), Comment(comment_id=comment_id_at(1), posted_at_ms=2)),
    ],
    ids=["no EventBatch", "deletes what is no id", "an id of another moment"],
)
def test_poison_is_given_back_whole_and_the_batch_reaches_past_it(poison: EventBatch | bytes) -> None:
    before, after = comment_at(1, "demo"), comment_at(2, "demo")
    messages = [message(11, posted(before)), message(12, poison), message(13, posted(after)), message(14, poison)]
    batch, poisons = batch_of(0, START, messages)
    assert [row.comment for row in batch.comments] == [before, after]
    assert not batch.deletions
    assert [found.message for found in poisons] == [messages[1], messages[3]]
    assert all(found.why for found in poisons)
    assert batch.through_seq == 14


@given(st.integers(0, 2**48 - 1))
def test_a_comments_id_tells_when_it_was_posted(posted_at_ms: int) -> None:
    assert posted_at_of(comment_id_at(posted_at_ms)) == posted_at_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "0192F0C1-2D3E-7ABC-8DEF-0123456789AB",
        "0192f0c1-2d3e-4abc-8def-0123456789ab",
        "0192f0c1-2d3e-7abc-8def-0123456789ab\n",
    ],
)
def test_what_is_no_uuidv7_in_lower_case_is_no_comments_id(text: str) -> None:
    with pytest.raises(ValueError, match="UUIDv7"):
        posted_at_of(text)
