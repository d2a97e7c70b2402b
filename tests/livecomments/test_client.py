"""The client for internal teams, against the whole system."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager

import pytest

from livecomments.client import (
    CommentDeleted,
    CommentsPosted,
    Disconnected,
    FeedEvent,
    LiveComments,
    Refusal,
    Snapshot,
    StreamEnded,
)
from livecomments.errors import Reason
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, STREAM_STATE_LIVE, STREAM_VISIBILITY_PRIVATE
from tests.system import System

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of this module's own, whose parts may be restarted."""
    with System(tmp_path_factory.mktemp("client"), core_user_rate="0") as running:
        yield running


def live_comments(
    system: System, user: str = "ann", *, role: str = "viewer", streams: tuple[str, ...] = ()
) -> LiveComments:
    token = system.token(user, role=role, streams=streams) if user else ""
    return LiveComments(
        core=system.core.address, fanout=system.fanout.address, storage=system.storage.address, token=token
    )


@asynccontextmanager
async def watching(
    live: LiveComments, stream_id: str, cursor: str | None = None
) -> AsyncIterator[AsyncIterator[FeedEvent]]:
    async with asyncio.timeout(40), aclosing(live.watch(stream_id, cursor)) as events:  # type: ignore[type-var]
        yield events


async def texts_until(events: AsyncIterator[FeedEvent], last: str) -> list[str]:
    """Texts in the order in which they came, up to the one that is waited for."""
    texts: list[str] = []
    async for event in events:
        if isinstance(event, Snapshot | CommentsPosted):
            texts += [comment.text for comment in event.comments]
        if last in texts:
            break
    return texts


async def test_a_team_creates_posts_watches_lists_and_ends(mortal: System) -> None:
    async with live_comments(mortal, "host", role="host") as host, live_comments(mortal) as live:
        stream = await host.create_stream("Show")
        assert (stream.title, stream.host_id, stream.state) == ("Show", "host", STREAM_STATE_LIVE)
        first = await live.post(stream.stream_id, "first", meta={"team": "blue"}, lag_ms=5)
        async with watching(live, stream.stream_id) as events:
            snapshot = await anext(events)
            assert isinstance(snapshot, Snapshot)
            assert not snapshot.gap
            second = await live.post(stream.stream_id, "second")
            told = [event async for event in _log_events(events, 1)]
            assert told == [CommentsPosted((second.comment,), second.cursor)]
            await host.end_stream(stream.stream_id)
            rest = [event async for event in events]
        assert isinstance(rest[-1], StreamEnded)
        assert (await live.stream(stream.stream_id)).state == STREAM_STATE_ENDED
        with pytest.raises(Refusal) as caught:
            await live.post(stream.stream_id, "too late")
        assert caught.value.reason is Reason.STREAM_ENDED
        mortal.stored(stream.stream_id, lambda comments: len(comments) == 2)
        listed = [comment async for comment in live.comments(stream.stream_id, duration=2 * 3600)]
        assert listed == [first.comment, second.comment]
        assert [*(await live.recent(stream.stream_id)).comments] == listed


async def _log_events(events: AsyncIterator[FeedEvent], count: int) -> AsyncIterator[FeedEvent]:
    async for event in events:
        if isinstance(event, CommentsPosted | CommentDeleted | StreamEnded):
            yield event
            count -= 1
        if not count:
            return


async def test_a_post_that_is_repeated_is_stored_once(mortal: System) -> None:
    stream = mortal.create_stream()
    async with live_comments(mortal) as live:
        key = uuid.uuid4().hex
        answers = [await live.post(stream, "once", request_id=key) for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        with pytest.raises(Refusal) as caught:
            await live.post(stream, "another", request_id=key)
        assert caught.value.reason is Reason.KEY_REUSED
        async with watching(live, stream) as events:
            assert await texts_until(events, "once") == ["once"]


async def test_a_watch_resumes_over_a_restart_of_fanout_and_tells_each_comment_once(mortal: System) -> None:
    stream = mortal.create_stream()
    async with live_comments(mortal) as live, watching(live, stream) as events:
        assert isinstance(await anext(events), Snapshot)
        await live.post(stream, "before")
        seen = await texts_until(events, "before")
        mortal.fanout.kill()
        for number in range(3):
            await live.post(stream, f"missed {number}")
        mortal.fanout.start()
        states: list[FeedEvent] = []

        async def kept() -> AsyncIterator[FeedEvent]:
            async for event in events:
                if isinstance(event, Disconnected | Snapshot):
                    states.append(event)
                yield event

        posted = asyncio.create_task(live.post(stream, "after"))
        seen += await texts_until(kept(), "after")
        await posted
    assert seen == ["before", "missed 0", "missed 1", "missed 2", "after"]
    assert isinstance(states[0], Disconnected)
    assert [event.recovered for event in states if isinstance(event, Snapshot)] == [True]


async def test_a_post_waits_for_a_core_that_is_being_restarted(mortal: System) -> None:
    stream = mortal.create_stream()
    async with live_comments(mortal) as live:
        await live.post(stream, "warm")
        mortal.core.kill()
        post = asyncio.create_task(live.post(stream, "patient", deadline_s=30))
        await asyncio.to_thread(mortal.core.start)
        assert (await post).comment.text == "patient"
        async with watching(live, stream) as events:
            assert await texts_until(events, "patient") == ["warm", "patient"]


async def test_a_watch_goes_on_from_the_cursor_of_ones_own_post(mortal: System) -> None:
    stream = mortal.create_stream()
    async with live_comments(mortal) as live:
        mine = await live.post(stream, "mine")
        await live.post(stream, "next")
        async with watching(live, stream, mine.cursor) as events:
            snapshot = await anext(events)
            assert isinstance(snapshot, Snapshot)
            assert snapshot.recovered
            assert await texts_until(events, "next") == ["next"]


async def test_what_no_retry_mends_is_a_refusal(mortal: System) -> None:
    private = mortal.create_stream(visibility="private")
    async with live_comments(mortal, "") as nobody, live_comments(mortal) as ann:
        for live, stream, cursor, reason in (
            (ann, "nosuch", None, Reason.STREAM_NOT_FOUND),
            (nobody, private, None, Reason.UNAUTHENTICATED),
            (ann, private, None, Reason.FORBIDDEN),
            (ann, mortal.create_stream(), "nonsense", Reason.BAD_CURSOR),
        ):
            with pytest.raises(Refusal) as caught:
                async with watching(live, stream, cursor) as events:
                    await anext(events)
            assert caught.value.reason is reason
        with pytest.raises(Refusal) as caught:
            await nobody.post(private, "x")
        assert caught.value.reason is Reason.UNAUTHENTICATED
        with pytest.raises(Refusal) as caught:
            await ann.recent(private)
        assert caught.value.reason is Reason.FORBIDDEN


async def test_a_named_viewer_watches_and_lists_a_private_stream(mortal: System) -> None:
    async with live_comments(mortal, "host", role="host") as host:
        private = (await host.create_stream("Club", visibility=STREAM_VISIBILITY_PRIVATE)).stream_id
        async with live_comments(mortal, "ann", streams=(private,)) as ann:
            await ann.post(private, "inside")
            async with watching(ann, private) as events:
                assert await texts_until(events, "inside") == ["inside"]
