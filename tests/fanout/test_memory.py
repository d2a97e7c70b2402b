"""The pure parts that give a topic its rhythm and its memory."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fanout.memory import Beginning, FeedMemory
from fanout.messages import Entry, LogMessage, Window, in_pieces
from fanout.ring import Placed, RecentComments, Ring, placed
from fanout.settings import FanoutSettings
from fanout.window import Gatherer
from livecomments.v1 import feed_service_pb2 as pb
from livecomments.v1.comment_pb2 import (
    STREAM_STATE_ENDED,
    STREAM_STATE_LIVE,
    Comment,
    CommentDeleted,
    CommentPinned,
    CommentUnpinned,
    Event,
    EventBatch,
    Stream,
    StreamEnded,
)

SETTINGS = FanoutSettings()


def log_message(seq: int, *events: Event) -> LogMessage:
    return LogMessage.decode(seq, EventBatch(events=events).SerializeToString())


def posting(comment_id: str) -> Event:
    event = Event()
    event.posted.comment.comment_id = comment_id
    event.posted.request_digest = 9
    return event


def window_of(*seqs: int) -> Window:
    return Window("a", tuple(Entry.of(log_message(seq, posting(str(seq)))) for seq in seqs))


def ids(comments: Sequence[Comment]) -> list[str]:
    return [one.comment_id for one in comments]


# -- messages as bytes --


def test_joined_bytes_are_what_protobuf_would_have_written() -> None:
    window = window_of(3, 300, 3_000_000)
    batch = pb.FeedBatch.FromString(window.batch)
    assert [message.seq for message in batch.messages] == [3, 300, 3_000_000]
    assert pb.WatchResponse.FromString(window.watch) == pb.WatchResponse(batch=batch)
    update = pb.TopicUpdate(stream_id="a", batch=batch)
    assert pb.RelayResponse.FromString(window.relay + window.relay) == pb.RelayResponse(updates=[update, update])


def test_request_digests_do_not_leave() -> None:
    batch = pb.FeedBatch.FromString(window_of(1).batch)
    assert batch.messages[0].events.events[0].posted.request_digest == 0


def test_what_cannot_be_read_counts_as_a_message_without_events() -> None:
    unreadable = LogMessage.decode(7, b"\xff\xff\xff")
    assert (unreadable.seq, len(unreadable.events.events), unreadable.encoded) == (7, 0, b"")


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20, unique=True), st.integers(0, 51), st.integers(1, 200))
def test_cutting_a_window_loses_and_doubles_nothing(seqs: list[int], after: int, max_bytes: int) -> None:
    seqs.sort()
    window = window_of(*seqs)
    rest = window.after(after)
    kept = [entry.seq for entry in rest.entries] if rest else []
    assert kept == [seq for seq in seqs if seq > after]
    pieces = list(in_pieces("a", window.entries, max_bytes))
    assert [entry.seq for piece in pieces for entry in piece.entries] == seqs
    assert all(piece.size <= max_bytes or len(piece.entries) == 1 for piece in pieces)


# -- windows --


def test_the_first_event_after_a_quiet_moment_is_due_at_once_the_next_after_the_interval() -> None:
    gatherer = Gatherer(every_s=0.1, max_bytes=1_000)
    assert gatherer.due_at() is None
    first, second, third, late = (log_message(seq, posting(str(seq))) for seq in (1, 2, 3, 4))
    gatherer.add(first)
    assert gatherer.due_at() <= 50.0  # type: ignore[operator]
    assert gatherer.take(50.0) == [first]
    gatherer.add(second)
    gatherer.add(third)
    assert gatherer.due_at() == 50.1
    assert gatherer.take(50.1) == [second, third]
    assert gatherer.due_at() is None
    gatherer.add(late)
    assert gatherer.due_at() == 50.2


def test_a_window_that_is_full_is_due_at_once() -> None:
    gatherer = Gatherer(every_s=0.1, max_bytes=30)
    gatherer.add(log_message(1, posting("1")))
    gatherer.take(50.0)
    for seq in range(2, 6):
        gatherer.add(log_message(seq, posting("long enough")))
    assert gatherer.due_at() == float("-inf")


@given(st.lists(st.floats(0, 0.3), min_size=1, max_size=40))
def test_windows_keep_their_distance_and_no_event_waits_longer_than_it(pauses: list[float]) -> None:
    gatherer = Gatherer(every_s=0.1, max_bytes=10**6)
    now, sent, waited = 0.0, [], []
    waiting: list[float] = []

    def advance(to: float) -> None:
        nonlocal waiting
        due_at = gatherer.due_at()
        if due_at is not None and due_at <= to:
            at = max(due_at, waiting[0])
            gatherer.take(at)
            sent.append(at)
            waited.extend(at - came for came in waiting)
            waiting = []

    for index, pause in enumerate(pauses):
        advance(now + pause)
        now += pause
        gatherer.add(log_message(index + 1, posting("x")))
        waiting.append(now)
        advance(now)
    advance(now + 1)
    assert all(later - earlier >= 0.1 - 1e-9 for earlier, later in pairwise(sent))
    assert len(waited) == len(pauses)
    assert max(waited) <= 0.1 + 1e-9


# -- the ring --


@given(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=1, max_size=15),
    st.lists(st.floats(0, 20), min_size=15, max_size=15),
    st.integers(0, 400),
    st.integers(0, 10),
)
def test_what_a_ring_covers_it_gives_completely(
    windows: list[list[int]], pauses: list[float], max_bytes: int, floor: int
) -> None:
    ring, seq, now, log = Ring(floor, keep_s=30.0, max_bytes=max_bytes), floor, 0.0, []
    for steps, pause in zip(windows, pauses, strict=False):
        seqs = []
        for step in steps:
            seq += step
            seqs.append(seq)
        now += pause
        log += seqs
        ring.add(window_of(*seqs), now)
    assert ring.covers(seq)
    for cursor in range(floor, seq + 2):
        if ring.covers(cursor):
            assert [entry.seq for entry in ring.after(cursor)] == [one for one in log if one > cursor]
    assert not ring.covers(floor - 1)


def test_a_ring_forgets_what_is_too_old_or_too_much_and_says_so() -> None:
    ring = Ring(0, keep_s=30.0, max_bytes=10_000)
    ring.add(window_of(1), 0.0)
    ring.add(window_of(2), 20.0)
    ring.expire(31.0)
    assert (ring.covers(0), ring.covers(1)) == (False, True)
    tight = Ring(0, keep_s=30.0, max_bytes=window_of(1).size)
    tight.add(window_of(1), 0.0)
    tight.add(window_of(2), 0.0)
    assert (tight.covers(0), tight.covers(1)) == (False, True)


def test_the_latest_comments_are_kept_in_order_without_deleted_ones() -> None:
    recent = RecentComments(3, [Placed(Comment(comment_id="stored"), 4, 1)], from_first=True)
    for seq, comment_id in enumerate(("stored", "b", "c"), 5):
        recent.apply(posting(comment_id), seq, 0)
    assert [(one.comment.comment_id, one.seq, one.number) for one in recent.latest(3)] == [
        ("stored", 4, 1),
        ("b", 6, 0),
        ("c", 7, 0),
    ]
    assert recent.from_first
    recent.apply(posting("d"), 8, 2)
    assert not recent.from_first, "one is older than these"
    recent.apply(Event(deleted=CommentDeleted(comment_id="c")), 9, 0)
    recent.apply(Event(deleted=CommentDeleted(comment_id="unknown")), 10, 0)
    assert [one.comment.comment_id for one in recent.latest(10)] == ["b", "d"]
    assert [one.comment.comment_id for one in recent.latest(1)] == ["d"]


def test_a_snapshot_says_where_its_comments_stand_and_whether_any_is_older() -> None:
    memory = begin(5)
    memory.take([log_message(6, posting("a"), posting("b"))], 0.0)
    assert not memory.snapshot(LIVE, 10).from_first, "nobody said that there were none before"
    stored = [Placed(Comment(comment_id="stored"), 3, 7)]
    memory = FeedMemory(SETTINGS, "epoch", LIVE, Beginning(5, 5, comments=stored, from_first=True), 0.0)
    memory.take([log_message(6, posting("a"), posting("b"))], 0.0)
    whole, part = memory.snapshot(LIVE, 3), memory.snapshot(LIVE, 2)
    assert (list(whole.comment_seqs), list(whole.comment_indices)) == ([3, 6, 6], [7, 0, 1])
    assert (list(part.comment_seqs), list(part.comment_indices)) == ([6, 6], [0, 1])
    assert (whole.from_first, part.from_first) == (True, False)


def test_comments_of_a_service_that_knows_no_places_have_none() -> None:
    assert placed([Comment()], [], []) == [Placed(Comment(), 0, 0)]


# -- the state --

LIVE = Stream(stream_id="a", title="Old", state=STREAM_STATE_LIVE, pinned=Comment(comment_id="registered"))
ENDED = Stream(stream_id="a", state=STREAM_STATE_ENDED, ended_at_ms=70)


def begin(head: int, registered: Stream = LIVE, ended: StreamEnded | None = None) -> FeedMemory:
    return FeedMemory(SETTINGS, "epoch", registered, Beginning(head, head, ended), 0.0)


def test_a_stream_is_ended_if_and_only_if_the_cursor_covers_its_end() -> None:
    memory = begin(4)
    # The registry may know before the feed does.
    assert memory.snapshot(ENDED, 1).stream.state == STREAM_STATE_LIVE
    assert memory.snapshot(ENDED, 1).stream.ended_at_ms == 0
    memory.take([log_message(6, Event(ended=StreamEnded(ended_at_ms=60)))], 0.0)
    assert memory.ended
    # Or after.
    assert memory.snapshot(LIVE, 1).stream.state == STREAM_STATE_ENDED
    assert memory.snapshot(LIVE, 1).stream.ended_at_ms == 60
    assert memory.recovered(LIVE, 6).stream.state == STREAM_STATE_ENDED
    assert memory.recovered(LIVE, 5).stream.state == STREAM_STATE_LIVE


def test_a_topic_that_begins_behind_the_end_knows_it() -> None:
    assert begin(4, ENDED).snapshot(ENDED, 1).stream.ended_at_ms == 70
    by_the_log = begin(4, LIVE, StreamEnded(ended_at_ms=60))
    assert by_the_log.snapshot(LIVE, 1).stream.ended_at_ms == 60
    assert by_the_log.recovered(LIVE, 3).stream.state == STREAM_STATE_LIVE


def test_what_the_feed_has_seen_overrules_the_registry() -> None:
    memory = begin(4)
    assert memory.snapshot(LIVE, 1).stream.pinned.comment_id == "registered"
    memory.take([log_message(5, Event(pinned=CommentPinned(comment=Comment(comment_id="new"))))], 0.0)
    assert memory.snapshot(LIVE, 1).stream.pinned.comment_id == "new"
    memory.take([log_message(6, Event(deleted=CommentDeleted(comment_id="new")))], 0.0)
    assert not memory.snapshot(LIVE, 1).stream.HasField("pinned")
    memory.take([log_message(7, Event(unpinned=CommentUnpinned()))], 0.0)
    assert not memory.snapshot(LIVE, 1).stream.HasField("pinned")
    renamed = Event()
    renamed.updated.stream.title = "New"
    renamed.updated.stream.slow_mode_s = 5
    memory.take([log_message(8, renamed)], 0.0)
    assert memory.snapshot(LIVE, 1).stream.title == "New"
    assert memory.snapshot(LIVE, 1).cursor == "epoch-8"


def test_a_topic_that_begins_remembers_what_the_log_told() -> None:
    told = [log_message(seq, posting(str(seq))) for seq in (7, 9)]
    beginning = Beginning(9, 5, None, [Placed(Comment(comment_id="stored"), 5, 0)], told)
    memory = FeedMemory(SETTINGS, "epoch", LIVE, beginning, 0.0)
    assert ids(memory.snapshot(LIVE, 10).comments) == ["stored", "7", "9"]
    assert memory.covers(5)
    assert not memory.covers(4)
    assert [entry.seq for entry in memory.after(7)] == [9]
