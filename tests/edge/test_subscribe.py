"""The decision about a subscribe: exactly what was missed, or a fresh start; never a part."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
import trio.testing

from edge.audience import Audience
from edge.broadcast import Broadcast
from edge.encodings.sse import ServerSentEvents
from edge.events import FeedEvent
from edge.feeds import Feeds, Topic
from edge.memory import FeedMemory, Limits
from edge.subscribe import AHEAD_S, Admission, NothingMore, NotYet, Wish, admit, decide_now, prepare
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal
from livecomments.tokens import NOBODY
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed
from tests.edge.test_memory import texts
from tests.edge.test_sse import blocks, other, posted


class CountedEvents(ServerSentEvents):
    """SSE; remembers the names of all events that it was given to encode."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def events(self, events: Iterable[FeedEvent]) -> bytes:
        events = list(events)
        self.encoded += [event.name.decode() for event in events]
        return super().events(events)


class Known:
    """Feeds of one stream, which this edge has come to ``seqs`` of; the log is what the test says."""

    def __init__(self, floor: int, seqs: Sequence[int] = (), *, events: int = 100) -> None:
        stream = pb.Stream(stream_id="s", state=pb.STREAM_STATE_LIVE)
        limits = Limits(keep_s=30, resume_events=events, resume_bytes=2**20)
        self.limits, self.stream = limits, stream
        self.memory = FeedMemory(feed.Snapshot(stream=stream, cursor=f"ab-{floor}"), limits)
        self.the_topic = Topic("s", Audience(cast("Broadcast", None)), self.memory)
        self.log: Callable[[], list[feed.FeedMessage]] = list
        self.asked: list[Cursor] = []
        self.encoding = CountedEvents()
        self.come_to(seqs)

    def come_to(self, seqs: Iterable[int]) -> None:
        for seq in seqs:
            self.memory.add(feed.FeedBatch(messages=[posted(seq, f"t{seq}")]), 0)
        self.the_topic.tell_change()

    @asynccontextmanager
    async def topic(self, _: str) -> AsyncIterator[tuple[Topic, FeedMemory]]:
        yield self.the_topic, self.memory

    def known(self, _: str) -> Topic:
        return self.the_topic

    def backfilled(self, _: Topic, cursor: Cursor) -> list[feed.FeedMessage] | None:
        return self.log() if cursor in self.asked else None

    async def backfill(self, _: Topic, cursor: Cursor) -> list[feed.FeedMessage]:
        self.asked.append(cursor)
        await trio.lowlevel.checkpoint()
        return self.log()

    def wish(self, cursor: str) -> Wish:
        return Wish(cursor, self.encoding)

    def seat(self, cursor: str) -> Admission | NotYet | None:
        return decide_now(cast("Feeds", self), NOBODY, "s", self.wish(cursor))

    async def admit(self, cursor: str) -> Admission:
        async with admit(cast("Feeds", self), NOBODY, "s", self.wish(cursor)) as admission:
            return admission


def run(test: Callable[[], Awaitable[None]]) -> None:
    trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))


def beginning(admission: Admission) -> tuple[bool, str, list[str]]:
    """Whether it has recovered, the first event's cursor, and all comments' texts."""
    _, first, *rest = blocks(admission.first)
    data: dict[str, Any] = json.loads(first["data"])
    assert first["event"] == "snapshot"
    begun = [comment["text"] for comment in data["comments"]]
    after = admission.first.partition(b"\n\n")[2].partition(b"\n\n")[2]
    assert not (data["recovered"] and begun)
    assert not (rest and not data["recovered"]), "nothing follows a fresh snapshot"
    return data["recovered"], first["id"], begun + texts(after)


def test_what_the_log_and_memory_both_have_is_brought_once() -> None:
    async def test() -> None:
        known = Known(10, [11, 13, 15])
        known.log = lambda: [posted(seq, f"t{seq}") for seq in (6, 8, 11, 13)]
        admission = await known.admit("ab-5")
        assert beginning(admission) == (True, "ab-5", ["t6", "t8", "t11", "t13", "t15"])
        assert admission.is_abreast

    run(test)


@pytest.mark.parametrize("reason", [Reason.BAD_CURSOR, Reason.BODY_TOO_LARGE, Reason.OVERLOADED])
@pytest.mark.parametrize("cursor", ["ab-5", "ab-99"])
def test_one_whose_place_the_log_does_not_serve_begins_afresh(cursor: str, reason: Reason) -> None:
    async def test() -> None:
        known = Known(10, [11, 13])

        def refuse() -> list[feed.FeedMessage]:
            raise Refusal(reason)

        known.log = refuse
        assert beginning(await known.admit(cursor)) == (False, "ab-13", ["t11", "t13"])
        assert trio.current_time() <= AHEAD_S + 0.01

    run(test)


def test_more_than_the_limit_is_not_brought_in_part_wherever_it_stands() -> None:
    async def test() -> None:
        for seqs, logged, recovers in (
            ([], 4, True),
            ([], 5, False),
            ([11, 12], 4, False),
            ([11, 12, 13, 14], 0, True),
        ):
            known = Known(10, seqs, events=4)
            known.log = lambda logged=logged: [posted(6 + n, "x") for n in range(logged)]  # type: ignore[misc]
            assert beginning(await known.admit("ab-5"))[0] is recovers, (seqs, logged)

    run(test)


def test_a_log_that_began_anew_while_it_was_read_is_another() -> None:
    async def test() -> None:
        known = Known(10)

        def renew() -> list[feed.FeedMessage]:
            known.the_topic.memory = FeedMemory(feed.Snapshot(stream=known.stream, cursor="new-3"), known.limits)
            return [posted(6, "old")]

        known.log = renew
        assert beginning(await known.admit("ab-5")) == (False, "new-3", [])

    run(test)


def test_one_ahead_waits_until_this_edge_has_come_to_its_place() -> None:
    async def test() -> None:
        known = Known(10, [11])
        results: list[Admission] = []

        async def come_back() -> None:
            results.append(await known.admit("ab-13"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come_back)
            await trio.sleep(AHEAD_S / 4)
            known.come_to([12])
            await trio.sleep(AHEAD_S / 4)
            assert not results
            known.come_to([13, 14])
        assert beginning(results[0]) == (True, "ab-13", ["t14"])
        assert results[0].is_abreast
        assert not known.asked, "nobody else had to be asked"

    run(test)


def test_one_ahead_of_an_edge_that_stays_behind_is_served_from_the_log_and_goes_on_behind_it() -> None:
    async def test() -> None:
        known = Known(10, [11])
        known.log = lambda: [posted(14, "t14"), posted(15, "t15")]
        admission = await known.admit("ab-13")
        assert trio.current_time() == pytest.approx(AHEAD_S, abs=0.01)
        assert beginning(admission) == (True, "ab-13", ["t14", "t15"])
        assert admission.skip_through == 15
        assert not admission.is_abreast
        known.come_to([12, 13, 14, 15])
        assert admission.is_abreast

    run(test)


@pytest.mark.parametrize("cursor", ["", "ab-11", "ab-12", "old-5"])
def test_the_door_seats_at_once_those_that_memory_serves(cursor: str) -> None:
    assert isinstance(Known(10, [11, 12]).seat(cursor), Admission)


def test_the_door_holds_nobody_back() -> None:
    assert Known(10, [11, 12]).seat("ab-13") is None


def test_the_door_has_what_was_missed_asked_for_and_then_seats_all_who_missed_the_same() -> None:
    async def test() -> None:
        known = Known(10, [11, 13])
        known.log = lambda: [posted(seq, f"t{seq}") for seq in (6, 8, 11)]
        not_yet = known.seat("ab-5")
        assert isinstance(not_yet, NotYet)
        await prepare(cast("Feeds", known), not_yet)
        for _ in range(3):
            admission = known.seat("ab-5")
            assert isinstance(admission, Admission)
            assert beginning(admission) == (True, "ab-5", ["t6", "t8", "t11", "t13"])
        assert known.asked == [Cursor("ab", 5)]

    run(test)


def test_the_door_gives_a_fresh_start_where_what_was_missed_is_known_to_be_refused() -> None:
    async def test() -> None:
        known = Known(10, [11])

        def refuse() -> list[feed.FeedMessage]:
            raise Refusal(Reason.BODY_TOO_LARGE)

        known.log = refuse
        not_yet = known.seat("ab-5")
        assert isinstance(not_yet, NotYet)
        await prepare(cast("Feeds", known), not_yet)
        admission = known.seat("ab-5")
        assert isinstance(admission, Admission)
        assert beginning(admission) == (False, "ab-11", ["t11"])

    run(test)


def test_nothing_is_asked_for_on_behalf_of_one_who_may_not_watch() -> None:
    async def test() -> None:
        known = Known(10, [11])
        known.memory.stream.visibility = pb.STREAM_VISIBILITY_PRIVATE
        with pytest.raises(Refusal):
            known.seat("ab-5")
        with pytest.raises(Refusal):
            await prepare(cast("Feeds", known), NotYet(NOBODY, "s", known.wish("ab-5")))
        assert not known.asked

    run(test)


def test_one_that_has_seen_the_end_is_told_that_there_is_nothing_more() -> None:
    async def test() -> None:
        known = Known(10)
        known.memory.add(feed.FeedBatch(messages=[other(11, ended=pb.StreamEnded(ended_at_ms=1))]), 0)
        for cursor in ("ab-11", "ab-99"):
            with pytest.raises(NothingMore):
                await known.admit(cursor)
        assert (await known.admit("ab-10")).is_over

    run(test)


def test_a_snapshot_is_encoded_once_a_batch_and_not_once_a_join() -> None:
    known = Known(10, [11])
    firsts = [known.seat("") for _ in range(50)]
    assert all(firsts)
    assert known.encoding.encoded == ["snapshot"]
    known.come_to([12])
    for _ in range(50):
        known.seat("")
    assert known.encoding.encoded == ["snapshot", "snapshot"]
    known.memory.count(51)
    known.seat("")
    assert known.encoding.encoded == ["snapshot"] * 3


def test_a_window_is_encoded_once_for_all_who_resume_behind_it() -> None:
    known = Known(10, [11, 12, 13])
    for _ in range(50):
        known.seat("ab-10")
    assert known.encoding.encoded.count("new_comment") == 3
