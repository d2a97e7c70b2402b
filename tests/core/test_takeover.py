"""A core that takes a stream over by its summaries, against a real nats-server. The log decides what is true."""

import time
from collections.abc import Sequence

import pytest

from core import changes
from core.fence import Fence
from core.gist import Comments, Gist
from core.metrics import TAKEOVER_SECONDS
from core.requests import Place, request_digest
from core.summaries import Summaries
from core.summary import Stretch
from livecomments.v1.comment_pb2 import Comment, EventBatch, Stream
from tests.core.stage import START_MS, Stage, comments
from tests.core.waiting import until

pytestmark = pytest.mark.anyio

LONG = 4
"""Messages of which a summary is made here."""
MESSAGES = 11
"""Two summaries, and some behind them."""


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.summary._MESSAGES", LONG)


def taken_over(source: str) -> float:
    """How many streams were taken over so far by what."""
    samples = TAKEOVER_SECONDS.labels(source).collect()[0].samples
    return next(sample.value for sample in samples if sample.name.endswith("_count"))


async def heir_by(stage: Stage, source: str) -> Fence:
    """One more core, that takes over by this."""
    before = taken_over(source)
    heir = await stage.core()
    assert taken_over(source) == before + 1, f"not by {source}"
    return heir


async def busy(stage: Stage) -> Fence:
    """A core that has appended MESSAGES, the third of which set slow mode, and left two summaries."""
    owner = await stage.core()
    for number in range(MESSAGES):
        if number == 2:
            event = changes.update(Stream(title="New", slow_mode_s=3), ["title", "slow_mode_s"])(owner.ledger, START_MS)
            assert event is not None
            await owner.append(EventBatch(events=[event]))
        else:
            at_ms = START_MS + 1_000 * number
            await owner.append(comments(("ann", f"k{number}"), (f"user{number}", ""), at_ms=at_ms))
        owner.sum_up()

    async def are_left() -> bool:
        return len(await stage.summaries.read()) == len(await stage.summaries.read_charges()) == MESSAGES // LONG

    await until(are_left, "two summaries and their charges are there")
    return owner


def check_alike(ours: Fence, theirs: Fence) -> None:
    """Both will decide alike."""
    one, two = ours.ledger, theirs.ledger
    assert (one.last_seq, one.last_at_ms, one.stream) == (two.last_seq, two.last_at_ms, two.stream)
    assert len(one.requests) == len(two.requests) > LONG
    for number in range(MESSAGES):
        digest = request_digest("ann", f"k{number}")
        assert one.requests.find(digest) == two.requests.find(digest)
    for ledger in (one, two):
        ledger.limits.forget(ledger.last_at_ms, ledger.stream.slow_mode_s)
    for user in ("ann", *(f"user{number}" for number in range(MESSAGES))):
        assert one.limits.full_at(user) == two.limits.full_at(user)
    assert len(one.limits) == len(two.limits)


async def test_by_summaries_a_core_knows_what_the_owner_knew(stage: Stage) -> None:
    owner = await busy(stage)
    heir = await heir_by(stage, "SUMMARIES")
    check_alike(owner, heir)
    assert heir.ledger.limits.full_at("ann") is not None
    # What was appended behind the last summary is in the heir's first.
    await heir.append(comments(("bob", "k"), at_ms=START_MS + 20_000))
    heir.sum_up()

    async def are_more() -> bool:
        return len(await stage.summaries.read()) == 3

    await until(are_more, "the heir leaves the next one")
    assert [each.after_seq for each in (await stage.summaries.read())[1:]] == [
        each.last_seq for each in (await stage.summaries.read())[:-1]
    ]
    check_alike(heir, await heir_by(stage, "SUMMARIES"))


async def test_more_charges_than_a_message_holds_are_left_to_the_log(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.summary._AUTHORS", 2)
    at_ms = int(time.time() * 1000)
    owner = await stage.core()
    await owner.append(comments(("ann", "k"), ("bob", ""), ("eve", ""), at_ms=at_ms))
    heir = await heir_by(stage, "LOG")
    for number in range(LONG):
        await heir.append(comments(("dan", f"k{number}"), at_ms=at_ms))
        heir.sum_up()

    async def are_left() -> bool:
        return len(await stage.summaries.read()) == len(await stage.summaries.read_charges()) == 1

    await until(are_left, "a summary and its charges are there")
    (charges,) = await stage.summaries.read_charges()
    assert (charges.user_ids, charges.after_seq) == (["dan"], heir.ledger.last_seq - LONG)
    third = await heir_by(stage, "SUMMARIES")
    for user in ("ann", "bob", "eve", "dan"):
        assert third.ledger.limits.full_at(user) == heir.ledger.limits.full_at(user) is not None
    assert third.ledger.requests.find(request_digest("ann", "k")) is not None


async def test_what_the_summaries_say_is_not_read_in_the_log(stage: Stage) -> None:
    """Here they know of a request that its message does not."""
    owner = await stage.core()
    seq = await owner.append(comments(("ann", "k")))
    last = await owner.append(comments(("bob", "k")))
    assert seq is not None
    assert last is not None
    stretch = Stretch(0)
    stretch.learn(seq, START_MS, Comments(START_MS, [4711]))
    stretch.learn(last, START_MS, Comments(START_MS, [request_digest("bob", "k")]))
    await leave(stage, stretch)
    assert (await heir_by(stage, "SUMMARIES")).ledger.requests.find(4711) == Place(seq, 0)


async def leave(stage: Stage, stretch: Stretch) -> None:
    before = len(await stage.summaries.read())
    stage.summaries.leave(stretch.write_summary(stage.summaries.epoch))

    async def is_left() -> bool:
        return len(await stage.summaries.read()) > before

    await until(is_left, "the summary is there")


async def drop(stage: Stage, subject: str, which: Sequence[int]) -> None:
    """Deletes the messages of these places from a subject."""
    js = stage.client.jetstream()
    seq = 0
    for number in range(max(which) + 1):
        message = await js.get_msg("SUMMARIES", seq=seq + 1, subject=subject, next=True)
        assert message.seq is not None
        seq = message.seq
        if number in which:
            await js.delete_msg("SUMMARIES", seq)


@pytest.mark.parametrize(("which", "source"), [((0, 1), "LOG"), ((0,), "SUMMARIES"), ((1,), "SUMMARIES")])
async def test_summaries_that_are_missing_are_made_up_for_by_the_log(
    stage: Stage, which: Sequence[int], source: str
) -> None:
    owner = await busy(stage)
    await drop(stage, stage.summaries._subject, which)
    check_alike(owner, await heir_by(stage, source))


@pytest.mark.parametrize("which", [(0,), (1,), (0, 1)])
async def test_charges_that_are_missing_are_made_up_for_by_the_log(stage: Stage, which: Sequence[int]) -> None:
    owner = await busy(stage)
    await drop(stage, stage.summaries._charges_subject, which)
    check_alike(owner, await heir_by(stage, "SUMMARIES"))


WRONG = Comments(START_MS, [1, 2])


@pytest.mark.parametrize("gist", [WRONG, None], ids=["another message", "a message without events"])
async def test_summaries_that_do_not_fit_the_log_are_left_aside(stage: Stage, gist: Gist) -> None:
    """As after a log was put back to what it was, and went on otherwise."""
    owner = await busy(stage)
    stretch = Stretch((await stage.summaries.read())[-1].last_seq)
    stretch.learn(owner.ledger.last_seq, START_MS, gist)
    await leave(stage, stretch)
    check_alike(owner, await heir_by(stage, "LOG"))


async def test_what_can_not_be_read_counts_as_missing(stage: Stage) -> None:
    owner = await busy(stage)
    js = stage.client.jetstream()
    for subject in (stage.summaries._subject, stage.summaries._charges_subject):
        await js.publish(subject, b"\xff" * 100)
    check_alike(owner, await heir_by(stage, "SUMMARIES"))


async def test_a_log_that_lost_what_was_summed_up_is_believed(stage: Stage) -> None:
    owner = await busy(stage)
    await stage.client.jetstream().purge_stream(stage.log.shard.name, subject=stage.log._subject)
    heir = await stage.core()
    assert heir.ledger.last_seq == 0
    assert heir.ledger.requests.find(request_digest("ann", "k0")) is None
    event = changes.pin(Comment(comment_id="x"))(owner.ledger, START_MS)
    assert event is not None
    await heir.append(EventBatch(events=[event]))
    assert len((await heir_by(stage, "LOG")).ledger.requests) == 0


async def test_a_frozen_owner_that_wakes_up_leaves_what_is_true_all_the_same(stage: Stage) -> None:
    """It sums up what it knew, late, and is refused at the fence."""
    owner = await stage.core()
    for number in range(LONG):
        await owner.append(comments(("ann", f"k{number}"), at_ms=START_MS + number))
    heir = await stage.core()
    await heir.append(comments(("bob", "k"), at_ms=START_MS + 9))
    owner.sum_up()

    async def is_left() -> bool:
        return len(await stage.summaries.read()) == 1

    await until(is_left, "the summary is there")
    third = await heir_by(stage, "SUMMARIES")
    assert third.ledger.last_seq == heir.ledger.last_seq
    for author, key in (("ann", "k3"), ("bob", "k")):
        digest = request_digest(author, key)
        assert third.ledger.requests.find(digest) == heir.ledger.requests.find(digest) is not None
    assert await owner.append(comments(("cem", "k"))) is None


async def test_slow_mode_that_was_made_longer_behind_the_last_summary_looks_back_far_enough(stage: Stage) -> None:
    owner = await busy(stage)
    await drop(stage, stage.summaries._charges_subject, (0,))
    event = changes.update(Stream(slow_mode_s=60), ["slow_mode_s"])(owner.ledger, START_MS)
    assert event is not None
    await owner.append(EventBatch(events=[event]))
    heir = await heir_by(stage, "SUMMARIES")
    for number in (0, 1, 10):
        assert heir.ledger.limits.full_at(f"user{number}") is not None


async def test_nobody_waits_for_summaries_that_can_not_be_stored(stage: Stage) -> None:
    """More than may wait, and nobody who publishes them."""
    summaries = Summaries(stage.client, 1)
    left = summaries.of(stage.log.shard, "another")
    for _ in range(100):
        left.leave(b"x")
    assert await left.read() == []
