"""Two fences on one stream's log, each step taken by hand, against a real nats-server."""

import pytest

from core import changes
from core.fence import Fence
from core.gist import gist_of, write_gist
from core.requests import Place, request_digest
from livecomments.v1.comment_pb2 import (
    Comment,
    CommentDeleted,
    CommentPinned,
    Event,
    EventBatch,
    Stream,
    StreamEnded,
    StreamUpdated,
)
from tests.core.stage import START_MS, Stage, comments

pytestmark = pytest.mark.anyio

LIMITS_MS = 20_000
"""More than the limits look back."""


async def append(fence: Fence, decide: changes.Decide) -> int | None:
    event = decide(fence.ledger, START_MS)
    assert event is not None
    return await fence.append(EventBatch(events=[event]))


def read_back_for_limits(monkeypatch: pytest.MonkeyPatch, more_ms: int) -> None:
    """Lets a core that takes over read so much more than it has to."""
    monkeypatch.setattr("core.takeover._SKEW_MS", more_ms)


def pin(name: str) -> changes.Decide:
    return changes.pin(Comment(comment_id=name))


async def test_who_comes_second_learns_what_the_first_did_and_decides_again(stage: Stage) -> None:
    one, two = await stage.core(), await stage.core()
    seq = await append(one, pin("x"))
    assert seq is not None
    assert await append(two, pin("y")) is None
    assert two.ledger.stream.pinned.comment_id == "x"
    again = await append(two, pin("y"))
    assert again is not None
    assert again > seq


async def test_a_late_writer_does_not_put_the_registry_back(stage: Stage) -> None:
    """The first stalls between log and registry; meanwhile the second goes on in both."""
    one, two = await stage.core(), await stage.core()
    await append(one, pin("x"))
    assert await append(two, pin("y")) is None
    await append(two, pin("y"))
    await two.project()
    assert (await stage.registered()).pinned.comment_id == "y"
    await one.project()
    assert (await stage.registered()).pinned.comment_id == "y"
    assert one.ledger.stream.pinned.comment_id == "y"


async def test_who_projects_first_hands_on_what_a_dead_core_could_not(stage: Stage) -> None:
    """The first dies between log and registry."""
    dead = await stage.core()
    await append(dead, changes.update(Stream(title="New"), ["title"]))
    heir = await stage.core()
    await heir.project()
    assert (await stage.registered()).title == "New"
    assert not heir.ledger.unprojected


async def test_two_that_know_the_same_write_the_registry_once(stage: Stage) -> None:
    one, two = await stage.core(), await stage.core()
    await append(one, pin("x"))
    assert await append(two, pin("y")) is None
    await one.project()
    before = await stage.store.read((await stage.registered()).stream_id)
    await two.project()
    assert await stage.store.read((await stage.registered()).stream_id) == before
    assert not two.ledger.unprojected


async def test_a_log_that_was_trimmed_under_a_fence_is_appended_to_all_the_same(stage: Stage) -> None:
    fence = await stage.core()
    await append(fence, pin("x"))
    await stage.client.jetstream().purge_stream(stage.log.shard.name, subject=stage.log._subject)
    assert await append(fence, pin("y")) is None, "it has to decide again, on what is left"
    assert await append(fence, pin("y")) is not None


async def test_who_takes_over_knows_what_the_log_says(stage: Stage) -> None:
    first = await stage.core()
    await append(first, pin("x"))
    await append(first, changes.delete("z"))
    await append(first, changes.end())
    second = await stage.core()
    assert second.ledger.last_seq == first.ledger.last_seq
    assert second.ledger.stream == first.ledger.stream
    assert second.ledger.is_deleted("z")
    assert second.ledger.has_ended


async def test_of_what_is_too_old_for_the_limits_only_the_headers_are_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the messages hold nothing else."""
    batch = comments(("ann", "k"), ("bob", ""), ("cem", "k"))
    first_seq = await stage.log.append(b"", write_gist(gist_of(batch)), 0, "one", 10)
    end = EventBatch(events=[Event(ended=StreamEnded(ended_at_ms=START_MS + 5))])
    last_seq = await stage.log.append(b"", write_gist(gist_of(end)), first_seq, "two", 10)
    read_back_for_limits(monkeypatch, -LIMITS_MS)
    ledger = (await stage.core()).ledger
    assert ledger.last_seq == last_seq
    assert ledger.has_ended
    assert ledger.requests.find(request_digest("ann", "k")) == Place(first_seq, 0)
    assert ledger.requests.find(request_digest("cem", "k")) == Place(first_seq, 2)
    assert len(ledger.requests) == 2


@pytest.mark.parametrize("bare", [(), (0,), (3,), (1, 4), (5,), (0, 1, 2, 3, 4, 5)])
async def test_messages_of_older_cores_bear_no_gist_and_count_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, bare: tuple[int, ...]
) -> None:
    first = await stage.core()
    batches = [
        comments(("ann", "k1"), ("bob", "k1")),
        EventBatch(events=[Event(updated=StreamUpdated(stream=Stream(title="New", slow_mode_s=30)))]),
        comments(("ann", "k2")),
        EventBatch(events=[Event(deleted=CommentDeleted(comment_id="z"))]),
        comments(("cem", ""), ("ann", "k3")),
        EventBatch(events=[Event(pinned=CommentPinned(comment=Comment(comment_id="p")))]),
    ]
    for number, batch in enumerate(batches):
        with monkeypatch.context() as patch:
            if number in bare:
                patch.setattr("core.fence.write_gist", lambda _gist: None)
            assert await first.append(batch) is not None
    ours, theirs = first.ledger, (await stage.core()).ledger
    assert (theirs.last_seq, theirs.last_at_ms, theirs.stream) == (ours.last_seq, ours.last_at_ms, ours.stream)
    assert theirs.is_deleted("z")
    assert theirs.unprojected == ours.unprojected
    for author, key in (("ann", "k1"), ("bob", "k1"), ("ann", "k2"), ("ann", "k3")):
        digest = request_digest(author, key)
        assert theirs.requests.find(digest) == ours.requests.find(digest) is not None
    assert len(theirs.requests) == len(ours.requests)
    for author in ("ann", "bob", "cem"):
        assert theirs.limits.full_at(author) == ours.limits.full_at(author) is not None
    assert len(theirs.limits) == 3


async def test_slow_mode_that_only_the_log_knows_of_looks_back_far_enough(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await stage.core()
    await first.append(comments(("ann", "")))
    # As if the comment were too old for the limits, but for slow mode.
    read_back_for_limits(monkeypatch, -LIMITS_MS)
    assert (await stage.core()).ledger.limits.full_at("ann") is None
    await append(first, changes.update(Stream(slow_mode_s=60), ["slow_mode_s"]))
    assert (await stage.core()).ledger.limits.full_at("ann") == first.ledger.limits.full_at("ann") is not None


async def test_the_first_of_a_request_is_found_in_the_log_by_who_took_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = comments(*((f"user{number}", "k") for number in range(1_000)))
    await (await stage.core()).append(batch)
    read_back_for_limits(monkeypatch, -LIMITS_MS)
    place = (await stage.core()).ledger.requests.find(request_digest("user999", "k"))
    assert place is not None
    message = await stage.log.next(place.seq)
    assert message is not None
    assert message.batch.events[place.index] == batch.events[999]


async def test_a_long_backlog_is_read_in_order_and_once(stage: Stage) -> None:
    """More than one pull brings."""
    first = await stage.core()
    for number in range(1_200):
        await first.append(comments((f"user{number}", "k")))
    heir = await stage.core()
    assert len(heir.ledger.requests) == len(heir.ledger.limits) == 1_200
    for number in range(1_200):
        digest = request_digest(f"user{number}", "k")
        assert heir.ledger.requests.find(digest) == first.ledger.requests.find(digest)


async def test_a_stream_that_was_long_silent_is_known_by_its_last_message(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await stage.core()
    await append(first, pin("x"))
    await append(first, changes.end())
    # As if all of it were older than what is read back.
    monkeypatch.setattr("core.takeover._SKEW_MS", -86_400_000)
    second = await stage.core()
    assert second.ledger.last_seq == first.ledger.last_seq
    assert second.ledger.has_ended
