"""Watch: a snapshot, then the log's order; resumable; closed to who may not watch."""

import pytest

from livecomments.errors import Reason, Refusal
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import (
    STREAM_STATE_ENDED,
    STREAM_STATE_LIVE,
    STREAM_VISIBILITY_PRIVATE,
    CommentDeleted,
    CommentPinned,
    Event,
    StreamUpdated,
)
from tests.fanout.parts import Watching, fanout_settings, open_source, serve_drainable, served, soon, watch

pytestmark = pytest.mark.anyio


def reason_of(watching: Watching) -> Reason | None:
    return None if watching.error is None else Refusal.from_rpc_error(watching.error).reason


def bearer(settings: Settings, ttl_s: float = 60, streams: tuple[str, ...] = ()) -> tuple[tuple[str, str], ...]:
    token = settings.token_key().issue("una", ttl_s=ttl_s, streams=streams)
    return (("authorization", f"Bearer {token}"),)


async def test_comments_arrive_in_the_logs_order_after_a_snapshot(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        seqs = await source.post_each("a", ["one", "two"])
        async with watch(address, "a") as watching:
            assert watching.snapshot_texts == ["one", "two"]
            assert watching.snapshot.cursor == source.cursor(seqs[-1])
            assert watching.snapshot.stream.state == STREAM_STATE_LIVE
            assert not watching.snapshot.recovered
            live = [str(number) for number in range(50)]
            seqs = await source.post_each("a", live)
            await soon(lambda: len(watching.texts) >= 50, "all comments are there")
            assert watching.texts == live
            assert watching.seqs == seqs
            assert all(not event.posted.request_digest for one in watching.messages for event in one.events.events)


async def test_the_first_event_after_a_quiet_moment_goes_at_once_and_then_one_window_an_interval(
    settings: Settings,
) -> None:
    async with (
        open_source(settings) as source,
        served(fanout_settings(settings, fanout_window_ms=400)) as address,
    ):
        await source.make_stream("a")
        async with watch(address, "a") as watching:
            for number in range(3):
                await source.post("a", str(number))
            await soon(lambda: len(watching.texts) == 3, "all comments are there")
            assert [len(batch.messages) for batch in watching.batches] == [1, 2]
            # Seen here, not where it was sent: some of the interval may be lost on the way.
            assert watching.arrived[1] - watching.arrived[0] > 0.3


async def test_a_watch_resumes_exactly_at_every_cursor_of_a_run(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        await source.make_stream("b")
        async with watch(address, "a"):
            seqs = []
            for number in range(8):
                seqs.append(await source.post("a", f"{number}", f"{number}!"))
                await source.post("b", "of another stream")
            for seq in range(seqs[-1] + 1):
                async with watch(address, "a", source.cursor(seq)) as resumed:
                    assert resumed.snapshot.recovered
                    assert not resumed.snapshot.comments
                    assert resumed.snapshot.cursor == source.cursor(seq)
                    missed = [one for one in seqs if one > seq]
                    await soon(lambda expected=missed, got=resumed: len(got.seqs) >= len(expected), "what was missed")
                    assert resumed.seqs == missed


async def test_a_cursor_older_than_the_ring_is_served_from_the_log(settings: Settings) -> None:
    small = fanout_settings(settings, fanout_ring_bytes=1024)
    async with open_source(settings) as source, served(small) as address:
        await source.make_stream("a")
        async with watch(address, "a") as watching:
            seqs = await source.post_each("a", ["x" * 300 for _ in range(40)])
            await soon(lambda: len(watching.seqs) == 40, "all comments are there")
            async with watch(address, "a", source.cursor(seqs[0])) as resumed:
                assert resumed.snapshot.recovered
                await soon(lambda: len(resumed.seqs) >= 39, "what was missed")
                later = await source.post("a", "live")
                await soon(lambda: later in resumed.seqs, "the feed goes on")
                assert resumed.seqs == [*seqs[1:], later]


async def test_more_than_a_resume_may_hold_is_never_given_in_part(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        first = await source.post("a", "first")
        for _ in range(5):
            await source.post("a", *("more" for _ in range(401)))
        async with watch(address, "a", source.cursor(first)) as resumed:
            assert not resumed.snapshot.recovered
            assert len(resumed.snapshot.comments) == 100
            assert not resumed.batches


async def test_a_cursor_ahead_of_the_feed_is_held_back_until_it_is_reached(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings, fanout_window_ms=1_000)) as address:
        await source.make_stream("a")
        async with watch(address, "a") as behind:
            # The first opens a window of a second: the next two wait at this fanout; another one may have shown them.
            seqs = await source.post_each("a", ["one", "two", "three"])
            async with watch(address, "a", source.cursor(seqs[1])) as ahead:
                assert ahead.snapshot.recovered
                assert ahead.snapshot.cursor == source.cursor(seqs[1])
                await soon(lambda: len(behind.seqs) == 3, "the feed catches up")
                await soon(lambda: ahead.seqs, "the feed goes on")
                assert ahead.texts == ["three"]


async def test_a_cursor_that_the_log_never_came_to_is_not_recovered(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        seq = await source.post("a", "one")
        async with watch(address, "a", source.cursor(seq + 1_000_000)) as watching:
            assert not watching.snapshot.recovered
            assert watching.snapshot_texts == ["one"]


async def test_a_cursor_of_an_earlier_life_of_the_log_is_not_recovered(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        seq = await source.post("a", "one")
        async with watch(address, "a", f"0ld-{seq}") as watching:
            assert not watching.snapshot.recovered
            assert watching.snapshot_texts == ["one"]


async def test_a_malformed_cursor_and_a_stream_id_that_is_none_are_refused(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with watch(address, "a", "not a cursor") as watching:
            assert reason_of(watching) is Reason.BAD_CURSOR
        async with watch(address, "a.>") as watching:
            assert reason_of(watching) is Reason.INVALID_FIELD
        async with watch(address, "nobody") as watching:
            assert reason_of(watching) is Reason.STREAM_NOT_FOUND


async def test_the_end_of_the_stream_ends_the_watch_after_it_was_sent(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        stream = await source.make_stream("a")
        async with watch(address, "a") as watching:
            last = await source.post("a", "last words")
            end = await source.end(stream)
            await soon(lambda: watching.ended, "the watch ends")
            assert watching.error is None
            assert watching.kinds == ["posted", "ended"]
            # The registry does not know yet; the feed does.
            async with watch(address, "a", source.cursor(last)) as resumed:
                assert resumed.snapshot.stream.state == STREAM_STATE_LIVE
                await soon(lambda: resumed.ended, "the watch ends")
                assert resumed.kinds == ["ended"]
            async with watch(address, "a", source.cursor(end)) as after_all:
                assert after_all.snapshot.stream.state == STREAM_STATE_ENDED
                await soon(lambda: after_all.ended, "the watch ends")
                assert not after_all.batches


async def test_a_stream_that_ended_long_ago_is_shown_as_ended(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a", state=STREAM_STATE_ENDED, ended_at_ms=5)
        async with watch(address, "a") as watching:
            assert watching.snapshot.stream.state == STREAM_STATE_ENDED
            assert watching.snapshot.stream.ended_at_ms == 5
            await soon(lambda: watching.ended, "the watch ends")
            assert watching.error is None


async def test_a_snapshot_shows_what_the_feed_did_before_the_registry_knows(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        stream = await source.make_stream("a")
        async with watch(address, "a") as watching:
            await source.post("a", "kept", "deleted")
            await soon(lambda: watching.seqs, "the comments are there")
            kept, deleted = (event.posted.comment for event in watching.messages[0].events.events)
            stream.title = "Another title"
            await source.tell("a", Event(pinned=CommentPinned(comment=kept)))
            await source.tell("a", Event(deleted=CommentDeleted(comment_id=deleted.comment_id)))
            await source.tell("a", Event(updated=StreamUpdated(stream=stream)))
            await soon(lambda: watching.kinds[2:] == ["pinned", "deleted", "updated"], "the events are there")
            async with watch(address, "a") as joined:
                assert joined.snapshot_texts == ["kept"]
                assert joined.snapshot.stream.pinned == kept
                assert joined.snapshot.stream.title == "Another title"


async def test_a_private_stream_is_shown_to_tokens_that_name_it_alone(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("secret", visibility=STREAM_VISIBILITY_PRIVATE)
        async with watch(address, "secret") as watching:
            assert reason_of(watching) is Reason.UNAUTHENTICATED
        async with watch(address, "secret", metadata=bearer(settings, streams=("other",))) as watching:
            assert reason_of(watching) is Reason.FORBIDDEN
        async with watch(address, "secret", metadata=bearer(settings, streams=("secret",))) as watching:
            assert watching.error is None
            await source.post("secret", "hush")
            await soon(lambda: watching.texts == ["hush"], "the comment is there")


async def test_a_stream_that_becomes_private_is_closed_to_those_who_may_not_watch(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        stream = await source.make_stream("a")
        async with (
            watch(address, "a") as nobody,
            watch(address, "a", metadata=bearer(settings, streams=("a",))) as invited,
        ):
            stream.visibility = STREAM_VISIBILITY_PRIVATE
            await source.tell("a", Event(updated=StreamUpdated(stream=stream)))
            await source.post("a", "hush")
            await soon(lambda: nobody.ended, "the watch ends")
            await soon(lambda: invited.texts == ["hush"], "the comment is there")
            assert reason_of(nobody) is Reason.UNAUTHENTICATED
            assert not nobody.batches
            # Before the registry knows.
            async with watch(address, "a") as late:
                assert reason_of(late) is Reason.UNAUTHENTICATED


async def test_a_token_that_expires_ends_the_watch(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with watch(address, "a", metadata=bearer(settings, ttl_s=2)) as watching:
            assert watching.error is None
            await soon(lambda: watching.ended, "the watch ends", 5)
            assert reason_of(watching) is Reason.UNAUTHENTICATED


async def test_a_silent_feed_sends_heartbeats(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fanout.watch.HEARTBEAT_S", 0.05)
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        async with watch(address, "a") as watching:
            await soon(lambda: watching.heartbeats >= 2, "heartbeats")


async def test_draining_ends_every_watch_so_that_clients_move(settings: Settings) -> None:
    async with open_source(settings) as source, serve_drainable(fanout_settings(settings)) as (address, drain):
        await source.make_stream("a")
        async with watch(address, "a") as watching:
            drain()
            await soon(lambda: watching.ended, "the watch ends")
            assert reason_of(watching) is Reason.DRAINING
        async with watch(address, "a") as refused:
            assert reason_of(refused) is Reason.DRAINING
