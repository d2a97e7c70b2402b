"""Watch: a snapshot, then the log's order; resumable; closed to who may not watch."""


import pytest

from livecomments.errors import Reason, Refusal
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import STREAM_STATE_LIVE
from tests.fanout.parts import Watching, fanout_settings, open_source, served, soon, watch

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
