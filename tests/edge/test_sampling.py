"""A feed that no one could read: every edge leaves out the same comments, evenly, and says how many."""

import json
import uuid
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.encodings.gzip import GZIP
from edge.encodings.sse import SSE
from edge.memory import FeedMemory, Limits, Missed, Unservable
from edge.sampling import Part, Sampler, Selection
from livecomments.cursor import Cursor
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed
from tests.edge.test_sse import blocks, other

ALL, SAMPLE = Selection.ALL, Selection.SAMPLE


def ids_from(seed: int) -> Iterator[str]:
    number = seed
    while True:
        number = number * 6364136223846793005 + 1442695040888963407 & 2**128 - 1
        yield str(uuid.UUID(int=number))


def log(rates: Sequence[int], per_message: int = 10, seed: int = 1) -> list[feed.FeedMessage]:
    """A log of so many comments in each of its seconds, spread evenly, at most ``per_message`` in a message."""
    ids, messages = ids_from(seed), []
    for second, rate in enumerate(rates):
        for first in range(0, rate, per_message):
            at_ms = 1_000_000 + 1000 * second + 1000 * first // rate
            comments = [
                pb.Comment(comment_id=next(ids), text=f"{second}.{number}", posted_at_ms=at_ms)
                for number in range(first, min(first + per_message, rate))
            ]
            events = [pb.Event(posted=pb.CommentPosted(comment=comment)) for comment in comments]
            messages.append(feed.FeedMessage(seq=len(messages) * 2 + 1, events=pb.EventBatch(events=events)))
    return messages


def sampled(sampler: Sampler, messages: Sequence[feed.FeedMessage]) -> list[Part]:
    return [sampler.sample(message) for message in messages]


def ms_of(message: feed.FeedMessage) -> int:
    """Since the log's beginning."""
    return message.events.events[0].posted.comment.posted_at_ms - 1_000_000


def by_second(messages: Sequence[feed.FeedMessage]) -> dict[int, int]:
    """How many comments of each second are left in a sample of 100 a second."""
    counts: dict[int, int] = {}
    for message, part in zip(messages, sampled(Sampler(100), messages), strict=True):
        second = ms_of(message) // 1000
        counts[second] = counts.get(second, 0) + part.comments
    return counts


def memory(per_second: int, *, events: int = 2_000, comments: Sequence[pb.Comment] = ()) -> FeedMemory:
    stream = pb.Stream(stream_id="s", state=pb.STREAM_STATE_LIVE)
    snapshot = feed.Snapshot(stream=stream, cursor="ab-0", comments=comments)
    return FeedMemory(snapshot, Limits(30, events, 2**21, per_second))


def shown(data: bytes) -> list[str]:
    """Ids of the comments in a feed, in order."""
    return [c["comment_id"] for e in blocks(data) if e["event"] == "new_comment" for c in json.loads(e["data"])]


def omitted(data: bytes) -> int:
    return sum(json.loads(e["data"])["count"] for e in blocks(data) if e["event"] == "omitted")


@pytest.mark.parametrize(("rate", "per_message"), [(1, 1), (50, 1), (50, 50), (90, 10), (100, 1)])
def test_a_feed_that_one_viewer_can_read_is_whole(rate: int, per_message: int) -> None:
    assert not any(part.omitted for part in sampled(Sampler(100), log([rate] * 5, per_message)))


@pytest.mark.parametrize("rate", [150, 1_000, 10_000])
def test_a_firehose_is_cut_to_about_what_one_viewer_can_read(rate: int) -> None:
    counts = by_second(log([rate] * 6, per_message=100 if rate == 10_000 else 10))
    # The first second is cut as it grows.
    assert 100 <= counts[0] <= 700
    for second in range(1, 6):
        # Six standard deviations of a sample of 100.
        assert 40 <= counts[second] <= 160, counts


def test_a_quiet_feed_is_whole_again_a_second_after_the_flood() -> None:
    counts = by_second(log([5_000, 5_000, 50, 50]))
    assert counts[3] == 50


def test_after_a_pause_nothing_of_the_flood_is_remembered() -> None:
    assert by_second(log([5_000, 0, 80]))[2] == 80


def test_a_sample_is_even_over_the_messages_of_a_second() -> None:
    messages = log([2_000] * 4, per_message=10)
    tenths = [0] * 10
    for message, part in list(zip(messages, sampled(Sampler(200), messages), strict=True))[200:]:
        tenths[ms_of(message) % 1000 // 100] += part.comments
    # 60 on average over three seconds.
    assert all(20 <= count <= 120 for count in tenths), tenths


def test_an_edge_that_joined_later_picks_the_same_once_it_has_seen_two_seconds() -> None:
    messages = log([3_000] * 5)
    early, late = sampled(Sampler(100), messages), sampled(Sampler(100), messages[450:])
    assert [part.message for part in early[900:]] == [part.message for part in late[450:]]


def test_what_the_snapshot_holds_counts() -> None:
    messages = log([500] * 2)
    comments = [event.posted.comment for message in messages[:50] for event in message.events.events]
    knowing = sampled(Sampler(100, comments), messages[50:])
    assert [part.message for part in knowing] == [part.message for part in sampled(Sampler(100), messages)[50:]]


def test_nothing_is_left_out_where_the_limit_is_lifted() -> None:
    assert not any(part.omitted for part in sampled(Sampler(0), log([5_000] * 2)))


def test_events_that_are_no_comments_are_never_left_out() -> None:
    sampler, messages = Sampler(1), log([1_000] * 2)
    sampled(sampler, messages)
    gone = other(9_999, deleted=pb.CommentDeleted(comment_id="x"))
    assert sampler.sample(gone) == Part(gone)


def test_the_sample_and_the_whole_of_a_window_are_the_same_bytes_where_nothing_is_left_out() -> None:
    window = memory(100).add(feed.FeedBatch(messages=log([20])), 0)
    assert window is not None
    for encoding in (SSE, GZIP):
        assert window.of(ALL).encoded(encoding) is window.of(SAMPLE).encoded(encoding)


def test_a_window_says_how_many_it_leaves_out_behind_what_it_gives_and_without_an_id() -> None:
    messages = log([1_000] * 2)
    kept = memory(100)
    kept.add(feed.FeedBatch(messages=messages[:100]), 0)
    window = kept.add(feed.FeedBatch(messages=messages[100:120]), 0)
    assert window is not None
    portion = window.of(SAMPLE)
    comments, left_out = blocks(portion.encoded(SSE))
    assert (comments["event"], comments["id"]) == ("new_comment", f"ab-{messages[119].seq}")
    assert left_out.keys() == {"event", "data"}
    assert json.loads(left_out["data"]) == {"count": portion.omitted}
    assert portion.comments + portion.omitted == 200
    assert len(json.loads(comments["data"])) == portion.comments
    assert len(shown(window.of(ALL).encoded(SSE))) == 200
    assert not omitted(window.of(ALL).encoded(SSE))


def test_a_window_of_which_nothing_is_left_still_says_so() -> None:
    messages = log([1_000] * 2)
    kept = memory(1)
    kept.add(feed.FeedBatch(messages=messages[:-1]), 0)
    window = kept.add(feed.FeedBatch(messages=messages[-1:]), 0)
    assert window is not None
    assert [event["event"] for event in blocks(window.of(SAMPLE).encoded(SSE))] == ["omitted"]
    assert kept.cursor == Cursor("ab", messages[-1].seq)


@settings(deadline=None)
@given(st.integers(1, 40), st.lists(st.integers(1, 400), min_size=1, max_size=4), st.data())
def test_a_resume_at_any_place_gives_the_rest_of_the_same_sample_once(
    per_second: int, rates: list[int], data: st.DataObject
) -> None:
    messages = log(rates, per_message=7)
    kept, at = memory(per_second, events=100_000), 0
    while at < len(messages):
        size = data.draw(st.integers(1, 9))
        kept.add(feed.FeedBatch(messages=messages[at : at + size]), 0)
        at += size
    whole = sampled(Sampler(per_second), messages)
    cursor = data.draw(st.integers(0, messages[-1].seq))
    missed = kept.since(Cursor("ab", cursor), SSE, SAMPLE)
    assert isinstance(missed, Missed)
    behind = [part for part in whole if part.message.seq > cursor]
    assert shown(missed.data) == [e.posted.comment.comment_id for part in behind for e in part.message.events.events]
    assert omitted(missed.data) == sum(part.omitted for part in behind)


def test_what_a_resume_may_bring_is_counted_after_the_sampling() -> None:
    messages = log([1_000] * 3)
    kept = memory(50, events=600)
    for first, last in pairwise(range(0, len(messages) + 1, 20)):
        kept.add(feed.FeedBatch(messages=messages[first:last]), 0)
    assert isinstance(kept.since(Cursor("ab", 0), SSE, SAMPLE), Missed)
    assert kept.since(Cursor("ab", 0), SSE, ALL) == Unservable()


def test_of_a_firehose_memory_keeps_whole_what_a_resume_may_bring_and_of_the_rest_the_sample() -> None:
    messages = log([1_000] * 4)
    kept = memory(50, events=600)
    windows = []
    for first in range(0, len(messages), 10):
        windows.append(kept.add(feed.FeedBatch(messages=messages[first : first + 10]), 0))
        newest = windows[-1]
        assert newest is not None
        assert newest.of(ALL).events == 100, "it is still to be shown"
    whole = [window for window in windows if window is not None and window.of(ALL).events == 100]
    assert len(whole) <= 1 + 6 + 1, "the first of all left nothing out"
    assert kept.reaches_back(messages[-61].seq, ALL)
    assert not kept.reaches_back(messages[-100].seq, ALL)
    assert kept.reaches_back(0, SAMPLE)
    missed = kept.since(Cursor("ab", messages[-61].seq), SSE, ALL)
    assert isinstance(missed, Missed)
    assert len(shown(missed.data)) == 600
    assert kept.since(Cursor("ab", messages[-100].seq), SSE, ALL) == Unservable()
    assert isinstance(kept.since(Cursor("ab", 0), SSE, SAMPLE), Missed)


def test_the_snapshot_is_of_all_comments() -> None:
    kept, messages = memory(1), log([1_000])
    kept.add(feed.FeedBatch(messages=messages), 0)
    (event,) = blocks(kept.snapshot(SSE))
    assert [c["text"] for c in json.loads(event["data"])["comments"]] == [f"0.{number}" for number in range(900, 1_000)]
