"""Sessions: what each of their streams shows, once and in order, wherever they are cut, and nothing left behind."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.audience import Audience, Viewer
from edge.broadcast import Broadcast
from edge.composite import CompositeCursor, Places
from edge.expiry import FOREVER, Ending, Stay
from edge.feeds import Feeds, Topic
from edge.memory import FeedMemory, Limits
from edge.session import Session, SessionLimits
from edge.sessions import Sessions
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal
from livecomments.tokens import NOBODY
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed
from tests.edge.test_broadcast import Peer, broadcasting, gone
from tests.edge.test_sse import posted

BOUNDS = SessionLimits(streams=4, backlog_bytes=64 * 1024, resume_bytes=64 * 1024)
LIMITS = Limits(keep_s=30, resume_events=2_000, resume_bytes=2**21)


class Streams:
    """Feeds without a fanout behind them: what is shown is shown by the test."""

    def __init__(self, broadcast: Broadcast, *stream_ids: str) -> None:
        self.seq = 1
        self.log: dict[str, list[str]] = {stream_id: [] for stream_id in stream_ids}
        self.topics = {stream_id: Topic(stream_id, Audience(broadcast)) for stream_id in stream_ids}
        for stream_id in stream_ids:
            self.begin_anew(stream_id, "ab")
        self.older: list[feed.FeedMessage] = []
        self.slow: dict[str, trio.Event] = {}
        """Streams whose first snapshot takes until then."""

    @property
    def feeds(self) -> Feeds:
        return cast("Feeds", self)

    def begin_anew(self, stream_id: str, epoch: str) -> FeedMemory:
        stream = pb.Stream(stream_id=stream_id, state=pb.STREAM_STATE_LIVE)
        memory = FeedMemory(feed.Snapshot(stream=stream, cursor=f"{epoch}-{self.seq}"), LIMITS)
        self.topics[stream_id].memory = memory
        return memory

    @asynccontextmanager
    async def topic(self, stream_id: str) -> AsyncIterator[tuple[Topic, FeedMemory]]:
        topic = self.topics.get(stream_id)
        if topic is None or topic.memory is None:
            raise Refusal(Reason.STREAM_NOT_FOUND)
        await trio.lowlevel.checkpoint()
        if stream_id in self.slow:
            await self.slow[stream_id].wait()
        yield topic, topic.memory

    async def backfill(self, _topic: Topic, _cursor: Cursor) -> list[feed.FeedMessage]:
        return self.older

    def post(self, stream_id: str, *texts: str) -> None:
        self.seq += 1
        self.log[stream_id] += texts
        self.show(stream_id, posted(self.seq, *texts))

    def end(self, stream_id: str) -> None:
        self.seq += 1
        ended = pb.Event(ended=pb.StreamEnded(ended_at_ms=1))
        self.show(stream_id, feed.FeedMessage(seq=self.seq, events=pb.EventBatch(events=[ended])))
        self.topics[stream_id].audience.end()

    def show(self, stream_id: str, *messages: feed.FeedMessage) -> None:
        topic = self.topics[stream_id]
        assert topic.memory is not None
        window = topic.memory.add(feed.FeedBatch(messages=messages), 0)
        assert window is not None
        topic.audience.show(window)

    def viewers(self) -> int:
        return sum(len(topic.audience) for topic in self.topics.values())


def read(data: bytes) -> list[dict[str, str]]:
    """The events in what a session was told, unframed."""
    blocks = [block for block in data.decode().split("\n\n") if block and not block.startswith(("retry", ":"))]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


class Client:
    """What one makes of a session's events, over several connections."""

    def __init__(self) -> None:
        self.cursor = ""
        self.shown: dict[str, list[str]] = defaultdict(list)

    def take(self, events: list[dict[str, str]]) -> None:
        for event in events:
            self.cursor = event.get("id", self.cursor)
            data = json.loads(event["data"])
            match event["event"]:
                case "snapshot" if not data["data"]["recovered"]:
                    self.shown[data["stream_id"]] = [comment["text"] for comment in data["data"]["comments"]]
                case "new_comment":
                    self.shown[data["stream_id"]] += [comment["text"] for comment in data["data"]]

    def places(self, otherwise: Places) -> Places:
        return CompositeCursor.parse(self.cursor).places if self.cursor else otherwise


def never() -> None:
    raise AssertionError("it kept up")


stream_ids = st.sampled_from("abc")
steps = st.lists(
    st.tuples(st.just("post"), stream_ids)
    | st.tuples(st.sampled_from(["add", "drop"]), stream_ids)
    | st.tuples(st.just("cut"), st.floats(0, 1)),
    max_size=25,
)


@settings(deadline=None)
@given(steps)
def test_wherever_a_session_is_cut_each_stream_is_shown_once_and_in_order(steps: list[tuple[str, Any]]) -> None:
    async def run() -> None:
        streams = Streams(Broadcast(1, 1), *"abc")
        sessions, client, rest = Sessions("0.0", BOUNDS), Client(), list(steps)
        while True:
            places = client.places(dict.fromkeys("ab"))
            with sessions.new(NOBODY, places, FOREVER, never) as session:
                viewer = await session.open(streams.feeds)
                cut = await follow(streams, session, rest)
                events = read(viewer.take())
                client.take(events[: round(len(events) * cut)])
            assert streams.viewers() == 0
            for stream_id, shown in client.shown.items():
                assert shown == streams.log[stream_id][: len(shown)]
            if cut == 1 and not rest:
                break
        for stream_id in client.places({}):
            assert client.shown[stream_id] == streams.log[stream_id]

    trio.run(run)


async def follow(streams: Streams, session: Session, steps: list[tuple[str, Any]]) -> float:
    """Takes steps up to the next cut; how much of what it was told reaches the client."""
    while steps:
        match steps.pop(0):
            case ("post", stream_id):
                streams.post(stream_id, f"{streams.seq}", f"{streams.seq} too")
            case ("add", stream_id):
                await session.add(streams.feeds, stream_id)
            case ("drop", stream_id):
                await session.drop(stream_id)
            case ("cut", share):
                return float(share) if steps else 1
    return 1


# -- on trio, with sockets --

anyio = pytest.mark.anyio


@asynccontextmanager
async def watching(*stream_ids: str) -> AsyncIterator[tuple[Broadcast, Streams, Sessions]]:
    async with broadcasting() as (broadcast, _):
        yield broadcast, Streams(broadcast, *stream_ids), Sessions("0.0", BOUNDS)


async def seated(
    broadcast: Broadcast, streams: Streams, sessions: Sessions, places: Places, stay: Stay = FOREVER
) -> tuple[Session, Peer]:
    """A session that was handed off."""
    peer = Peer()
    with sessions.new(NOBODY, places, stay, never) as session:
        await session.open(streams.feeds)
        session.seat(broadcast, peer.fd)
    return session, peer


@anyio
async def test_a_seated_session_that_goes_leaves_all_its_streams() -> None:
    async with watching("a", "b") as (broadcast, streams, sessions):
        session, peer = await seated(broadcast, streams, sessions, {"a": None, "b": None})
        assert (streams.viewers(), len(sessions)) == (2, 1)
        peer.socket.close()
        await gone(broadcast, 0)
        assert (streams.viewers(), len(sessions), session.is_closed) == (0, 0, True)
        with pytest.raises(Refusal, match="SESSION_NOT_FOUND"):
            await session.add(streams.feeds, "a")


@anyio
async def test_a_session_ends_with_its_token() -> None:
    async with watching("a", "b") as (broadcast, streams, sessions):
        stay = Stay(trio.current_time(), Ending.TOKEN)
        session, peer = await seated(broadcast, streams, sessions, {"a": None, "b": None}, stay)
        assert (await peer.read_to_end()).endswith(b"0\r\n\r\n")
        assert (streams.viewers(), len(sessions), session.is_closed) == (0, 0, True)
        peer.socket.close()


@anyio
async def test_a_session_that_can_not_keep_up_is_cut_and_disturbs_nobody() -> None:
    async with watching("a", "b") as (broadcast, streams, sessions):
        _, stalled = await seated(broadcast, streams, sessions, {"a": None, "b": None})
        _, other = await seated(broadcast, streams, sessions, {"a": None})
        data = b""
        for number in range(5_000):
            streams.post("b", "x" * 2_000)
            await trio.testing.wait_all_tasks_blocked()
            if len(sessions) == 1:
                break
            assert number < 4_000, "it was never cut"
        streams.post("a", "undisturbed")
        with trio.fail_after(5):
            while b"undisturbed" not in data:
                data += await other.read(1)
        assert streams.viewers() == 1
        stalled.socket.close()
        other.socket.close()


@anyio
async def test_a_session_ends_with_the_last_of_its_streams() -> None:
    async with watching("a", "b") as (broadcast, streams, sessions):
        _, peer = await seated(broadcast, streams, sessions, {"a": None, "b": None})
        streams.end("a")
        streams.post("b", "last")
        streams.end("b")
        text = (await peer.read_to_end()).decode()
        assert text.count("event: stream_ended") == 2
        assert text.endswith("0\r\n\r\n")
        assert text.index("last") > text.index('"streams":["b"]')
        assert (streams.viewers(), len(sessions)) == (0, 0)
        peer.socket.close()


@anyio
async def test_what_every_session_is_told_is_encoded_once() -> None:
    async with watching("a", "b") as (broadcast, streams, sessions):
        peers = [(await seated(broadcast, streams, sessions, {"a": None, "b": None}))[1] for _ in range(3)]
        memory = streams.topics["a"].memory
        assert memory is not None
        window = memory.add(feed.FeedBatch(messages=[posted(50, "one")]), 0)
        assert window is not None
        seats = streams.topics["a"].audience._seats
        portions = [window.of(seat.selection).after(seat.skip_through, seat.encoding) for seat in seats]
        assert len(portions) == 3
        assert all(portion is portions[0] for portion in portions)
        for peer in peers:
            peer.socket.close()
        await gone(broadcast, 0)


@anyio
async def test_windows_that_a_resume_has_shown_already_are_not_shown_again() -> None:
    async with watching("a") as (_, streams, sessions):
        # The log was read further than this edge has come.
        streams.topics["a"].memory = streams.begin_anew("a", "ab")
        streams.older = [posted(5, "five"), posted(6, "six")]
        with sessions.new(NOBODY, {"a": Cursor("ab", 0)}, FOREVER, never) as session:
            viewer = await session.open(streams.feeds)
            streams.show("a", posted(5, "five"))
            streams.show("a", posted(6, "six"), posted(7, "seven"))
            assert shown(viewer) == ["five", "six", "seven"]


@anyio
async def test_a_log_that_begins_anew_is_shown_whatever_was_seen_of_the_old_one() -> None:
    async with watching("a") as (_, streams, sessions):
        streams.older = [posted(900, "old")]
        with sessions.new(NOBODY, {"a": Cursor("ab", 0)}, FOREVER, never) as session:
            viewer = await session.open(streams.feeds)
            streams.seq = 0
            topic = streams.topics["a"]
            topic.audience.tell(streams.begin_anew("a", "cd").state())
            streams.post("a", "new")
            assert shown(viewer) == ["old", "new"]


def shown(viewer: Viewer) -> list[str]:
    events = [event for event in read(viewer.take()) if event["event"] == "new_comment"]
    return [comment["text"] for event in events for comment in json.loads(event["data"])["data"]]


@anyio
async def test_what_streams_bring_together_when_they_are_resumed_is_bounded() -> None:
    async with watching("a", "b", "c") as (_, streams, sessions):
        for stream_id in "abc":
            streams.post(stream_id, "x" * (BOUNDS.resume_bytes // 2))
        places = {stream_id: Cursor("ab", 1) for stream_id in "abc"}
        with sessions.new(NOBODY, places, FOREVER, never) as session:
            events = read((await session.open(streams.feeds)).take())
        snapshots = [json.loads(event["data"])["data"] for event in events if event["event"] == "snapshot"]
        assert [snapshot["recovered"] for snapshot in snapshots].count(True) == 1
        assert len(snapshots) == 3


@anyio
async def test_what_happens_while_a_slow_stream_is_waited_for_is_told_and_ends_nothing() -> None:
    async with watching("a", "b", "c") as (_, streams, sessions):
        streams.end("a")
        streams.slow["c"] = trio.Event()
        with sessions.new(NOBODY, dict.fromkeys("abc"), FOREVER, never) as session:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(happen_meanwhile, streams)
                viewer = await session.open(streams.feeds)
            assert not session.is_closed
            streams.post("c", "after")
            client, events = Client(), read(viewer.take())
            client.take(events)
        assert (client.shown["b"], client.shown["c"]) == (["meanwhile"], ["after"])
        assert [event["event"] for event in events].count("stream_ended") == 2
        assert list(client.places({})) == ["c"]


async def happen_meanwhile(streams: Streams) -> None:
    await trio.testing.wait_all_tasks_blocked()
    streams.post("b", "meanwhile")
    streams.end("b")
    streams.slow["c"].set()


@anyio
async def test_a_refused_session_leaves_nothing_behind() -> None:
    async with watching("a", "b") as (_, streams, sessions):
        with (
            pytest.raises(Refusal, match=r"STREAM_NOT_FOUND.*nowhere"),
            sessions.new(NOBODY, {"a": None, "nowhere": None, "b": None}, FOREVER, never) as session,
        ):
            await session.open(streams.feeds)
        assert (streams.viewers(), len(sessions)) == (0, 0)


@anyio
async def test_a_session_that_is_dismissed_while_it_opens_is_told_when_to_come_back() -> None:
    async with watching("a", "b") as (_, streams, sessions):
        with sessions.new(NOBODY, {"a": None, "b": None}, FOREVER, never) as session:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sessions.dismiss_over, 0)
                viewer = await session.open(streams.feeds)
            data = b"".join([part async for part in viewer.chunks(1)])
        assert data.count(b"retry: ") == 2
        assert (streams.viewers(), len(sessions)) == (0, 0)


@anyio
async def test_what_waits_for_a_session_does_not_grow_with_what_is_added_to_it() -> None:
    async with watching("a", "b") as (_, streams, sessions):
        for _ in range(20):
            streams.post("b", "x" * 1_000)
        cut: list[bool] = []
        with sessions.new(NOBODY, {"a": None}, FOREVER, lambda: cut.append(True)) as session:
            await session.open(streams.feeds)
            for _ in range(10):
                await session.add(streams.feeds, "b")
                await session.drop("b")
            assert cut == [True]
