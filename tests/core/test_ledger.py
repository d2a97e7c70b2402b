"""The decisions of one stream, and the state that they are taken on."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import changes
from core.gist import gist_of, read_gist, write_gist
from core.ids import CommentIds, posted_at_of
from core.ledger import Draft, Ledger, Post, fold
from core.limits import UserRate
from core.requests import request_digest
from livecomments.errors import Reason, Refusal
from livecomments.v1.comment_pb2 import (
    STREAM_STATE_ENDED,
    STREAM_STATE_LIVE,
    STREAM_VISIBILITY_PRIVATE,
    Comment,
    CommentDeleted,
    Event,
    EventBatch,
    Stream,
)

START_MS = 1_700_000_000_000
STREAM = Stream(stream_id="s", host_id="hanna", title="T", state=STREAM_STATE_LIVE, started_at_ms=START_MS)


class Nowhere:
    """A Reply of posts that nobody answers here."""

    def posted(self, tag: int, comment: Comment, cursor: str) -> None:
        raise AssertionError((tag, comment, cursor))

    def refused(self, tag: int, refusal: Refusal) -> None:
        raise AssertionError((tag, refusal))


class Try(NamedTuple):
    author: str
    key: str = ""
    text: str = "hello"
    is_exempt: bool = False


def make(attempt: Try, tag: int = 0) -> Post:
    return Post(
        attempt.author,
        f"{attempt.author}'s name",
        attempt.is_exempt,
        attempt.text,
        0,
        "",
        request_digest(attempt.author, attempt.key),
        200,
        Nowhere(),
        tag,
        0.0,
    )


def ledger(stream: Stream = STREAM, per_s: float = 1, burst: int = 3) -> Ledger:
    return Ledger(stream, UserRate(per_s, burst), CommentIds())


def draft(on: Ledger, attempts: Sequence[Try], now_ms: int = START_MS, banned: frozenset[str] = frozenset()) -> Draft:
    made = on.draft(now_ms, banned)
    made.add([make(attempt, tag) for tag, attempt in enumerate(attempts)])
    return made


def reasons(made: Draft) -> list[Reason]:
    return [refusal.reason for _, refusal in made.refused]


def commit(on: Ledger, decide: changes.Decide, now_ms: int = START_MS) -> None:
    event = decide(on, now_ms)
    assert event is not None
    on.apply(on.last_seq + 1, EventBatch(events=[event]))


attempts = st.lists(
    st.builds(
        Try,
        st.sampled_from(["ann", "bob", "cem"]),
        st.sampled_from(["", "", "k1", "k2", "k3"]),
        st.sampled_from(["one", "two"]),
        st.booleans(),
    ),
    max_size=12,
)


@given(st.lists(st.tuples(st.integers(-800, 4_000), attempts), max_size=12))
def test_who_folds_the_same_log_decides_alike(rounds: list[tuple[int, list[Try]]]) -> None:
    """One ledger lives on; the other is made anew from the log before each round, as by a core that takes over."""
    living = ledger()
    log: list[EventBatch] = []
    now_ms = START_MS
    for gap, posts in rounds:
        now_ms += gap
        anew = ledger()
        for seq, batch in enumerate(log, 1):
            anew.learn(seq, read_gist(write_gist(gist_of(batch)) or ""))
            anew.forget_requests()
        for batch in log:
            anew.charge(batch)
        ours, theirs = draft(living, posts, now_ms), draft(anew, posts, now_ms)
        assert [(post.tag, index) for post, index in ours.accepted] == [
            (post.tag, index) for post, index in theirs.accepted
        ]
        assert [(post.tag, place) for post, place in ours.repeated] == [
            (post.tag, place) for post, place in theirs.repeated
        ]
        assert [(post.tag, refusal.reason) for post, refusal in ours.refused] == [
            (post.tag, refusal.reason) for post, refusal in theirs.refused
        ]
        assert len(ours.accepted) + len(ours.repeated) + len(ours.refused) == len(posts)
        if ours.accepted:
            log.append(ours.batch)
            living.commit(len(log), ours)
    times = [event.posted.comment.posted_at_ms for batch in log for event in batch.events]
    assert times == sorted(times), "time never falls, whatever the clock does"
    keys = [event.posted.request_digest for batch in log for event in batch.events if event.posted.request_digest]
    assert len(keys) == len(set(keys)), "a request is committed once"


def test_a_draft_that_is_thrown_away_leaves_no_trace() -> None:
    state = ledger(burst=1)
    assert len(draft(state, [Try("ann", "k")]).accepted) == 1
    assert len(draft(state, [Try("ann", "k")]).accepted) == 1


def test_a_comment_is_written_in_full() -> None:
    made = draft(ledger(), [Try("ann", "k", "hello")], START_MS + 1_234)
    (event,) = made.batch.events
    comment = event.posted.comment
    assert (comment.stream_id, comment.author_id, comment.author_name) == ("s", "ann", "ann's name")
    assert (comment.text, comment.posted_at_ms, comment.offset_ms) == ("hello", START_MS + 1_234, 1_234)
    assert posted_at_of(comment.comment_id) == comment.posted_at_ms
    assert event.posted.request_digest == request_digest("ann", "k")


def test_ids_of_a_batch_rise() -> None:
    made = draft(ledger(per_s=0), [Try("ann")] * 500)
    ids = [event.posted.comment.comment_id for event in made.batch.events]
    assert ids == sorted(set(ids))
    assert len(ids) == 500


def test_a_repetition_within_a_batch_shares_the_first_ones_place() -> None:
    made = draft(ledger(burst=1), [Try("ann", "k"), Try("ann", "k"), Try("bob", "k")])
    assert [(post.tag, index) for post, index in made.accepted] == [(0, 0), (1, 0), (2, 1)]
    assert len(made.batch.events) == 2


def test_the_same_key_with_another_text_is_refused() -> None:
    assert reasons(draft(ledger(), [Try("ann", "k", "one"), Try("ann", "k", "two")])) == [Reason.KEY_REUSED]


def test_the_limit_counts_within_a_batch() -> None:
    made = draft(ledger(burst=3), [Try("ann")] * 5)
    assert len(made.accepted) == 3
    assert reasons(made) == [Reason.USER_RATE] * 2


def test_slow_mode_counts_from_the_event_that_set_it() -> None:
    state = ledger()
    commit(state, changes.update(Stream(slow_mode_s=30), ["slow_mode_s"]))
    state.apply(state.last_seq + 1, draft(state, [Try("ann")]).batch)
    assert reasons(draft(state, [Try("ann"), Try("hanna", is_exempt=True)], START_MS + 29_999)) == [Reason.SLOW_MODE]
    assert reasons(draft(state, [Try("ann")], START_MS + 30_000)) == []


def test_hosts_and_moderators_are_exempt_from_limits_and_bans() -> None:
    made = draft(ledger(burst=1), [Try("mo", is_exempt=True)] * 5, banned=frozenset({"mo"}))
    assert len(made.accepted) == 5


def test_the_banned_are_refused() -> None:
    assert reasons(draft(ledger(), [Try("ann")], banned=frozenset({"ann"}))) == [Reason.BANNED]


def test_behind_the_end_only_repetitions_are_answered() -> None:
    state = ledger()
    state.apply(1, draft(state, [Try("ann", "k")]).batch)
    commit(state, changes.end())
    made = draft(state, [Try("ann", "k"), Try("ann", "other"), Try("hanna", is_exempt=True)])
    assert [post.tag for post, _ in made.repeated] == [0]
    assert reasons(made) == [Reason.STREAM_ENDED] * 2
    assert not made.batch.events


def test_a_message_that_was_applied_before_changes_nothing() -> None:
    state = ledger(burst=2)
    batch = draft(state, [Try("ann")]).batch
    for _ in range(3):
        state.apply(1, batch)
    assert len(draft(state, [Try("ann")]).accepted) == 1


def test_an_event_charges_nobody() -> None:
    state = ledger()
    state.charge(EventBatch(events=[Event(deleted=CommentDeleted(comment_id="c"))]))
    state.charge(EventBatch())
    assert len(state.limits) == 0


def test_a_message_without_events_counts_as_a_sequence_only() -> None:
    state = ledger()
    state.apply(7, EventBatch())
    assert state.last_seq == 7
    assert len(draft(state, [Try("ann")]).accepted) == 1


@pytest.mark.parametrize(
    "decide",
    [
        changes.pin(Comment(comment_id="c")),
        changes.update(Stream(title="New"), ["title"]),
    ],
)
def test_nothing_changes_behind_the_end(decide: changes.Decide) -> None:
    state = ledger()
    commit(state, changes.end())
    with pytest.raises(Refusal) as caught:
        decide(state, START_MS)
    assert caught.value.reason is Reason.STREAM_ENDED


def test_what_was_said_can_be_taken_back_behind_the_end() -> None:
    state = ledger()
    pinned = Comment(comment_id="c")
    commit(state, changes.pin(pinned))
    commit(state, changes.end())
    commit(state, changes.unpin())
    commit(state, changes.delete("c"))
    assert state.is_deleted("c")
    assert not state.stream.HasField("pinned")


def test_an_end_comes_once_and_never_before_the_last_comment() -> None:
    state = ledger()
    state.apply(1, draft(state, [Try("ann")], START_MS + 5_000).batch)
    commit(state, changes.end(), START_MS + 1_000)
    assert state.stream.ended_at_ms == START_MS + 5_000
    assert changes.end()(state, START_MS + 9_000) is None
    assert changes.announce_end(1_000)(state, START_MS + 9_000) is None


def test_an_announced_end_comes_when_it_is_due() -> None:
    state = ledger()
    commit(state, changes.announce_end(10_000))
    assert state.stream.ends_at_ms == START_MS + 10_000
    assert changes.end_when_due()(state, START_MS + 9_999) is None
    commit(state, changes.end_when_due(), START_MS + 10_000)
    assert state.stream.state == STREAM_STATE_ENDED
    assert state.stream.ends_at_ms == 0
    assert changes.end_when_due()(state, START_MS + 20_000) is None


def test_a_change_that_is_none_appends_nothing() -> None:
    state = ledger()
    comment = Comment(comment_id="c")
    commit(state, changes.pin(comment))
    assert changes.pin(comment)(state, START_MS) is None
    assert changes.unpin(only="other")(state, START_MS) is None
    commit(state, changes.unpin(only="c"))
    assert changes.unpin()(state, START_MS) is None
    commit(state, changes.delete("c"))
    assert changes.delete("c")(state, START_MS) is None
    assert changes.update(Stream(title="T"), ["title"])(state, START_MS) is None


def test_a_deleted_comment_is_not_pinned() -> None:
    state = ledger()
    commit(state, changes.delete("c"))
    with pytest.raises(Refusal) as caught:
        changes.pin(Comment(comment_id="c"))(state, START_MS)
    assert caught.value.reason is Reason.COMMENT_NOT_FOUND


def test_folding_the_last_events_again_changes_nothing() -> None:
    state = ledger()
    commit(state, changes.pin(Comment(comment_id="a")))
    commit(state, changes.update(Stream(title="New", visibility=STREAM_VISIBILITY_PRIVATE), ["title", "visibility"]))
    commit(state, changes.pin(Comment(comment_id="b")))
    commit(state, changes.unpin())
    commit(state, changes.announce_end(1_000))
    commit(state, changes.end(), START_MS + 1_000)
    for count in range(len(state.unprojected) + 1):
        known = fold(STREAM, state.unprojected[:count])
        assert fold(known, state.unprojected) == state.stream
    assert not STREAM.HasField("pinned"), "the base is left as it was"


def test_deleting_the_pinned_comment_unpins_it_in_the_registry() -> None:
    state = ledger()
    commit(state, changes.pin(Comment(comment_id="a")))
    commit(state, changes.delete("other"))
    assert state.stream.pinned.comment_id == "a"
    commit(state, changes.delete("a"))
    assert not state.stream.HasField("pinned")
