"""What an edge remembers of a feed: every resume gives what was missed, once and in order, or nothing at all."""

import json

from hypothesis import given
from hypothesis import strategies as st

from edge.encodings.sse import SSE
from edge.memory import Ahead, FeedMemory, Limits, Missed, TooOld, Unservable
from edge.sampling import Selection
from livecomments.cursor import Cursor
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed
from tests.edge.test_sse import blocks, other, posted

ALL = Selection.ALL
LIMITS = Limits(keep_s=30, resume_events=2_000, resume_bytes=2**21)


def memory(seq: int = 0, limits: Limits = LIMITS) -> FeedMemory:
    stream = pb.Stream(stream_id="s", state=pb.STREAM_STATE_LIVE)
    return FeedMemory(feed.Snapshot(stream=stream, cursor=f"ab-{seq}"), limits)


def texts(data: bytes) -> list[str]:
    return [
        comment["text"]
        for event in blocks(data)
        if event["event"] == "new_comment"
        for comment in json.loads(event["data"])
    ]


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), max_size=8), st.data())
def test_a_resume_at_any_place_gives_what_came_after_it_once(windows: list[list[int]], data: st.DataObject) -> None:
    kept, seq, log = memory(), 0, []
    for window in windows:
        messages = []
        for step in window:
            # Other streams' messages lie between: a stream's own sequence has holes.
            seq += step
            messages.append(posted(seq, f"t{seq}"))
            log.append(seq)
        kept.add(feed.FeedBatch(messages=messages), now=0)
    cursor = data.draw(st.integers(0, seq))
    missed = kept.since(Cursor("ab", cursor), SSE, ALL)
    assert isinstance(missed, Missed)
    assert texts(missed.data) == [f"t{s}" for s in log if s > cursor]


def test_a_window_that_is_told_twice_counts_once() -> None:
    kept = memory()
    batch = feed.FeedBatch(messages=[posted(1, "a"), posted(2, "b")])
    assert kept.add(batch, 0) is not None
    assert kept.add(batch, 0) is None
    overlapping = kept.add(feed.FeedBatch(messages=[posted(2, "b"), posted(3, "c")]), 0)
    assert overlapping is not None
    assert texts(overlapping.of(ALL).encoded(SSE)) == ["c"]


def test_windows_are_forgotten_after_their_time_and_older_cursors_are_too_old() -> None:
    kept = memory()
    kept.add(feed.FeedBatch(messages=[posted(1, "a")]), now=0)
    kept.add(feed.FeedBatch(messages=[posted(2, "b")]), now=31)
    assert kept.since(Cursor("ab", 0), SSE, ALL) == TooOld()
    missed = kept.since(Cursor("ab", 1), SSE, ALL)
    assert isinstance(missed, Missed)
    assert texts(missed.data) == ["b"]


def test_a_cursor_that_memory_has_not_come_to_is_neither_served_nor_refused_by_it() -> None:
    kept = memory(7)
    assert kept.since(Cursor("ab", 7), SSE, ALL) == Missed(b"", 0)
    assert kept.since(Cursor("ab", 8), SSE, ALL) == Ahead()
    assert kept.is_behind(Cursor("ab", 8))
    assert not kept.is_behind(Cursor("ab", 7))
    assert not kept.is_behind(Cursor("other", 8)), "there is no order between two logs"


def test_a_cursor_of_another_log_can_not_be_served() -> None:
    assert memory().since(Cursor("other", 0), SSE, ALL) == Unservable()


def test_more_than_a_resume_may_bring_is_refused_whole() -> None:
    kept = memory(limits=Limits(keep_s=30, resume_events=2, resume_bytes=2**21))
    kept.add(feed.FeedBatch(messages=[posted(1, "a", "b", "c")]), 0)
    assert kept.since(Cursor("ab", 0), SSE, ALL) == Unservable()
    kept = memory(limits=Limits(keep_s=30, resume_events=2_000, resume_bytes=100))
    kept.add(feed.FeedBatch(messages=[posted(1, "a" * 200)]), 0)
    assert kept.since(Cursor("ab", 0), SSE, ALL) == Unservable()


def test_the_snapshot_follows_the_feed() -> None:
    kept = memory()
    first = kept.snapshot(SSE)
    assert kept.snapshot(SSE) is first, "encoded once for all who join before the next change"
    kept.add(feed.FeedBatch(messages=[posted(1, "a", "b")]), 0)
    kept.add(feed.FeedBatch(messages=[other(2, deleted=pb.CommentDeleted(comment_id="1.0"))]), 0)
    pinned = pb.CommentPinned(comment=pb.Comment(comment_id="1.1", text="b"))
    kept.add(feed.FeedBatch(messages=[other(3, pinned=pinned)]), 0)
    kept.add(feed.FeedBatch(messages=[other(4, ended=pb.StreamEnded(ended_at_ms=9_000))]), 0)
    kept.count(7)
    event, ended = blocks(kept.snapshot(SSE))
    assert ended["event"] == "stream_ended"
    data = json.loads(event["data"])
    assert event["id"] == "ab-4"
    assert [comment["text"] for comment in data["comments"]] == ["b"]
    assert data["stream"]["pinned"]["comment_id"] == "1.1"
    assert data["stream"]["state"] == "ended"
    assert data["viewers"] == 7
    assert kept.has_ended


def test_a_change_of_the_stream_keeps_what_is_pinned() -> None:
    kept = memory()
    pinned = pb.CommentPinned(comment=pb.Comment(comment_id="x"))
    kept.add(feed.FeedBatch(messages=[other(1, pinned=pinned)]), 0)
    updated = pb.StreamUpdated(stream=pb.Stream(stream_id="s", title="New"))
    kept.add(feed.FeedBatch(messages=[other(2, updated=updated)]), 0)
    assert kept.stream.title == "New"
    assert kept.stream.pinned.comment_id == "x"
