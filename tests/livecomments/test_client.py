"""Both clients for internal teams, against the whole system."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from livecomments.client import (
    CommentDeleted,
    CommentsPosted,
    Conflict,
    Disconnected,
    FeedEvent,
    InvalidRequest,
    LiveCommentsError,
    NotFound,
    PermissionDenied,
    Reason,
    Snapshot,
    StreamEnded,
    Unauthenticated,
    requests,
    stream_requests,
)
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, STREAM_STATE_LIVE
from tests.processes import Service
from tests.system import System

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of this module's own, whose parts may be restarted."""
    with System(tmp_path_factory.mktemp("client"), core_user_rate="0") as running:
        yield running


Open = Callable[..., Any]


@pytest.fixture
def live_comments(client: Callable[..., Any], mortal: System) -> Open:
    """Makes a client of that system for a user."""

    def open_client(user: str = "ann", *, role: str = "viewer", streams: tuple[str, ...] = ()) -> Any:
        token = mortal.token(user, role=role, streams=streams) if user else ""
        addresses = {name: getattr(mortal, name).address for name in ("core", "fanout", "storage")}
        return client(**addresses, token=token)

    return open_client


@asynccontextmanager
async def watching(live: Any, stream_id: str, cursor: str | None = None) -> AsyncIterator[AsyncIterator[FeedEvent]]:
    async with asyncio.timeout(60), live.watch(stream_id, cursor) as events:
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


async def test_a_team_creates_posts_watches_lists_and_ends(mortal: System, live_comments: Open) -> None:
    async with live_comments("host", role="host") as host, live_comments() as live:
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
        assert (await live.get_stream(stream.stream_id)).stream.state == STREAM_STATE_ENDED
        with pytest.raises(Conflict) as caught:
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


async def test_a_post_that_is_repeated_is_stored_once(mortal: System, live_comments: Open) -> None:
    stream = mortal.create_stream()
    async with live_comments() as live:
        key = uuid.uuid4().hex
        answers = [await live.post(stream, "once", request_id=key) for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        with pytest.raises(InvalidRequest) as caught:
            await live.post(stream, "another", request_id=key)
        assert caught.value.reason is Reason.KEY_REUSED
        async with watching(live, stream) as events:
            assert await texts_until(events, "once") == ["once"]


async def test_a_watch_resumes_over_a_restart_of_fanout_and_tells_each_comment_once(
    mortal: System, live_comments: Open
) -> None:
    stream = mortal.create_stream()
    async with live_comments() as live, watching(live, stream) as events:
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


async def test_a_post_waits_for_a_core_that_is_being_restarted(mortal: System, live_comments: Open) -> None:
    stream = mortal.create_stream()
    async with live_comments() as live:
        await live.post(stream, "warm")
        mortal.core.kill()
        post = asyncio.create_task(live.post(stream, "patient", deadline_s=30))
        await asyncio.to_thread(mortal.core.start)
        assert (await post).comment.text == "patient"
        async with watching(live, stream) as events:
            assert await texts_until(events, "patient") == ["warm", "patient"]


async def test_a_watch_goes_on_from_the_cursor_of_ones_own_post(mortal: System, live_comments: Open) -> None:
    stream = mortal.create_stream()
    async with live_comments() as live:
        mine = await live.post(stream, "mine")
        await live.post(stream, "next")
        async with watching(live, stream, mine.cursor) as events:
            snapshot = await anext(events)
            assert isinstance(snapshot, Snapshot)
            assert snapshot.recovered
            assert await texts_until(events, "next") == ["next"]


async def test_what_no_retry_mends_is_an_error_of_its_family(mortal: System, live_comments: Open) -> None:
    private = mortal.create_stream(visibility="private")
    async with live_comments("") as nobody, live_comments() as ann:
        for live, stream, cursor, family, reason in (
            (ann, "nosuch", None, NotFound, Reason.STREAM_NOT_FOUND),
            (nobody, private, None, Unauthenticated, Reason.UNAUTHENTICATED),
            (ann, private, None, PermissionDenied, Reason.FORBIDDEN),
            (ann, mortal.create_stream(), "nonsense", InvalidRequest, Reason.BAD_CURSOR),
        ):
            with pytest.raises(LiveCommentsError) as caught:
                async with watching(live, stream, cursor) as events:
                    await anext(events)
            assert (type(caught.value), caught.value.reason) == (family, reason)
        with pytest.raises(Unauthenticated):
            await nobody.post(private, "x")
        with pytest.raises(PermissionDenied):
            await ann.recent(private)
        with pytest.raises(InvalidRequest) as caught:
            await ann.post(mortal.create_stream(), "")
        assert [error.field for error in caught.value.fields] == ["text"]


async def test_a_host_moderates_and_changes_its_stream(mortal: System, live_comments: Open) -> None:
    async with live_comments("host", role="host") as host, live_comments("troll") as troll:
        stream = (await host.create_stream("Show", slow_mode_s=0)).stream_id
        bad = (await troll.post(stream, "bad")).comment
        good = (await host.post(stream, "good")).comment
        assert await host.pin_comment(stream, good.comment_id) == good
        assert (await host.get_stream(stream)).stream.pinned == good
        await host.unpin_comment(stream)
        await host.delete_comment(stream, bad.comment_id)
        await host.ban_user(stream, "troll")
        with pytest.raises(PermissionDenied) as caught:
            await troll.post(stream, "again")
        assert caught.value.reason is Reason.BANNED
        await host.unban_user(stream, "troll")
        updated = await host.update_stream(stream, title="Matinee", slow_mode_s=5)
        assert (updated.title, updated.slow_mode_s, updated.HasField("pinned")) == ("Matinee", 5, False)
        mortal.stored(stream, lambda comments: [comment["text"] for comment in comments] == ["good"])
        assert await troll.get_comment(stream, good.comment_id) == good
        with pytest.raises(NotFound) as caught:
            await troll.get_comment(stream, bad.comment_id)
        assert caught.value.reason is Reason.COMMENT_NOT_FOUND


async def test_lists_go_over_all_pages(mortal: System, live_comments: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_COMMENTS_A_PAGE", 3)
    monkeypatch.setattr(stream_requests, "_STREAMS_A_PAGE", 2)
    made = {mortal.create_stream() for _ in range(5)}
    stream = max(made)
    async with live_comments() as live:
        texts = [f"c{number}" for number in range(10)]
        for text in texts:
            await live.post(stream, text)
        mortal.stored(stream, lambda comments: len(comments) == 10)
        assert [comment.text async for comment in live.comments(stream, duration=2.5 * 3600)] == texts
        listed = [status.stream.stream_id async for status in live.streams(state="live")]
        assert made <= set(listed)
        assert len(listed) == len(set(listed))


async def test_nothing_is_lost_or_doubled_while_core_and_fanout_are_killed_and_restarted(
    mortal: System, live_comments: Open
) -> None:
    stream = mortal.create_stream()
    rounds = ([mortal.core], [mortal.fanout], [mortal.core, mortal.fanout])
    texts = {f"{number}-{author}" for number in range(len(rounds)) for author in range(10)}

    def kill_and_restart(parts: list[Service]) -> None:
        for part in parts:
            part.kill()
        for part in parts:
            part.start()

    async with live_comments() as live, watching(live, stream) as events:
        assert isinstance(await anext(events), Snapshot)
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(told(events, len(texts)))
            for number, parts in enumerate(rounds):
                async with asyncio.TaskGroup() as posts:
                    for author in range(10):
                        posts.create_task(live.post(stream, f"{number}-{author}", deadline_s=60))
                    posts.create_task(asyncio.to_thread(kill_and_restart, parts))
        seen = watch.result()
        assert sorted(seen) == sorted(texts)
        stored = mortal.stored(stream, lambda comments: len(comments) == len(texts))
        assert [comment["text"] for comment in stored] == seen


async def told(events: AsyncIterator[FeedEvent], count: int) -> list[str]:
    """Texts in the order in which they were told, until there are so many."""
    texts: list[str] = []
    async for event in events:
        if isinstance(event, Snapshot):
            assert not event.gap
        elif isinstance(event, CommentsPosted):
            texts += [comment.text for comment in event.comments]
        if len(texts) >= count:
            break
    return texts


async def test_a_named_viewer_watches_and_lists_a_private_stream(live_comments: Open) -> None:
    async with live_comments("host", role="host") as host:
        private = (await host.create_stream("Club", visibility="private")).stream_id
        async with live_comments("ann", streams=(private,)) as ann:
            await ann.post(private, "inside")
            async with watching(ann, private) as events:
                assert await texts_until(events, "inside") == ["inside"]
