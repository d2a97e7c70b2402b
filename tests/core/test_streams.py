"""The life of a stream, at a real core."""

import time
import uuid

import pytest

from livecomments.errors import Reason
from livecomments.log import connect
from livecomments.presence import FANOUT_HEADER, viewers_subject
from livecomments.v1 import stream_service_pb2 as ss
from livecomments.v1.comment_pb2 import (
    STREAM_STATE_ENDED,
    STREAM_STATE_LIVE,
    STREAM_VISIBILITY_PRIVATE,
    STREAM_VISIBILITY_PUBLIC,
    Stream,
)
from livecomments.v1.feed_service_pb2 import ViewerReport
from tests.core.client import CoreClient, refused
from tests.core.waiting import until

pytestmark = pytest.mark.anyio


def update(stream: Stream, *paths: str) -> ss.UpdateStreamRequest:
    request = ss.UpdateStreamRequest(stream=stream)
    request.update_mask.paths.extend(paths)
    return request


async def test_a_stream_is_live_and_public_once_created(core: CoreClient) -> None:
    before_ms = int(time.time() * 1000)
    stream = await core.create("", title="  The final ")
    assert (stream.title, stream.host_id, stream.state) == ("The final", "hanna", STREAM_STATE_LIVE)
    assert stream.visibility == STREAM_VISIBILITY_PUBLIC
    assert before_ms <= stream.started_at_ms <= time.time() * 1000
    assert await core.get(stream.stream_id) == stream


async def test_without_an_id_a_uuid_is_made(core: CoreClient) -> None:
    response = await core.streams.CreateStream(ss.CreateStreamRequest(title="T"), metadata=core.host, timeout=10)
    uuid.UUID(response.stream.stream_id)


async def test_creating_again_finds_the_same_and_nothing_else(core: CoreClient) -> None:
    stream = await core.create(slow_mode_s=5)
    assert await core.create(stream.stream_id, slow_mode_s=5) == stream
    async with refused(Reason.STREAM_EXISTS):
        await core.create(stream.stream_id, slow_mode_s=6)
    async with refused(Reason.STREAM_EXISTS):
        request = ss.CreateStreamRequest(stream_id=stream.stream_id, title="A title", slow_mode_s=5)
        await core.streams.CreateStream(request, metadata=core.user("other", "host"), timeout=10)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stream_id", "a.b"),
        ("stream_id", "x" * 65),
        ("title", " "),
        ("title", "x" * 201),
        ("slow_mode_s", 3_601),
        ("visibility", 9),
    ],
)
async def test_a_bad_field_is_named(core: CoreClient, field: str, value: object) -> None:
    request = ss.CreateStreamRequest(**{"title": "T", field: value})  # type: ignore[arg-type]
    async with refused(Reason.INVALID_FIELD, field):
        await core.streams.CreateStream(request, metadata=core.host, timeout=10)


async def test_an_update_is_an_event_and_changes_the_named_fields_only(core: CoreClient) -> None:
    stream = await core.create()
    wanted = Stream(
        stream_id=stream.stream_id, title=" New ", visibility=STREAM_VISIBILITY_PRIVATE, slow_mode_s=7, host_id="evil"
    )
    response = await core.streams.UpdateStream(update(wanted, "title", "slow_mode_s"), metadata=core.host, timeout=10)
    assert (response.stream.title, response.stream.slow_mode_s) == ("New", 7)
    assert (response.stream.visibility, response.stream.host_id) == (STREAM_VISIBILITY_PUBLIC, "hanna")
    assert await core.get(stream.stream_id) == response.stream
    await core.streams.UpdateStream(update(wanted, "title"), metadata=core.host, timeout=10)
    ((_, batch),) = await core.logged(stream.stream_id)
    assert batch.events[0].updated.stream == response.stream


async def test_an_update_with_a_bad_mask_or_field_is_refused(core: CoreClient) -> None:
    stream = await core.create()
    for paths in ((), ("state",), ("title", "host_id")):
        async with refused(Reason.INVALID_FIELD, "update_mask"):
            await core.streams.UpdateStream(update(stream, *paths), metadata=core.host, timeout=10)
    async with refused(Reason.INVALID_FIELD, "title"):
        bad = Stream(stream_id=stream.stream_id)
        await core.streams.UpdateStream(update(bad, "title"), metadata=core.host, timeout=10)


async def test_slow_mode_counts_from_the_moment_it_is_set(core: CoreClient) -> None:
    stream = await core.create()
    await core.post(stream.stream_id)
    stream.slow_mode_s = 60
    await core.streams.UpdateStream(update(stream, "slow_mode_s"), metadata=core.host, timeout=10)
    async with refused(Reason.SLOW_MODE):
        await core.post(stream.stream_id)


async def test_an_ended_stream_stays_as_it_ended(core: CoreClient) -> None:
    stream = await core.create()
    ended = await core.end(stream.stream_id)
    assert ended.state == STREAM_STATE_ENDED
    assert ended.ended_at_ms >= stream.started_at_ms
    assert await core.end(stream.stream_id) == ended
    assert await core.end(stream.stream_id, notice_s=5) == ended
    assert await core.get(stream.stream_id) == ended
    async with refused(Reason.STREAM_ENDED):
        await core.streams.UpdateStream(
            update(Stream(stream_id=stream.stream_id, title="N"), "title"), metadata=core.host, timeout=10
        )
    assert await core.logged_kinds(stream.stream_id) == ["ended"]


async def test_an_announced_end_takes_posts_until_it_comes(core: CoreClient) -> None:
    stream = await core.create()
    announced = await core.end(stream.stream_id, notice_s=1)
    assert announced.state == STREAM_STATE_LIVE
    assert announced.ends_at_ms >= stream.started_at_ms + 1_000
    await core.post(stream.stream_id)

    async def ended() -> Stream | None:
        now = await core.get(stream.stream_id)
        return now if now.state == STREAM_STATE_ENDED else None

    now = await until(ended, "the stream ends by itself")
    assert announced.ends_at_ms <= now.ended_at_ms < announced.ends_at_ms + 1_000
    assert now.ends_at_ms == 0
    assert await core.logged_kinds(stream.stream_id) == ["ending", "posted", "ended"]


async def test_a_stream_may_end_before_its_announced_end(core: CoreClient) -> None:
    stream = await core.create()
    await core.end(stream.stream_id, notice_s=3_600)
    assert (await core.end(stream.stream_id)).state == STREAM_STATE_ENDED


async def test_a_bad_notice_is_refused(core: CoreClient) -> None:
    stream = await core.create()
    async with refused(Reason.INVALID_FIELD, "notice_s"):
        await core.end(stream.stream_id, notice_s=3_601)


async def test_what_is_not_there_is_not_found(core: CoreClient) -> None:
    async with refused(Reason.STREAM_NOT_FOUND):
        await core.get("nowhere")
    async with refused(Reason.STREAM_NOT_FOUND):
        await core.end("nowhere")


async def test_streams_are_listed_newest_first_page_by_page(core: CoreClient) -> None:
    mine = [(await core.create()).stream_id for _ in range(7)]
    await core.end(mine[3])

    async def pages(size: int, **filters: object) -> list[str]:
        listed: list[str] = []
        token = ""
        while True:
            request = ss.ListStreamsRequest(page_size=size, page_token=token, **filters)  # type: ignore[arg-type]
            response = await core.streams.ListStreams(request, timeout=10)
            assert len(response.streams) <= size
            started = [stream.started_at_ms for stream in response.streams]
            assert started == sorted(started, reverse=True)
            listed += [stream.stream_id for stream in response.streams]
            token = response.next_page_token
            if not token:
                return listed

    everything = await pages(3)
    assert len(everything) == len(set(everything))
    assert set(mine) <= set(everything)
    assert everything == await pages(500)
    live = await pages(2, state=STREAM_STATE_LIVE)
    assert set(mine) - set(live) == {mine[3]}
    assert mine[3] in await pages(2, state=STREAM_STATE_ENDED)


async def test_a_page_token_is_bound_to_its_list(core: CoreClient) -> None:
    await core.create()
    await core.create()
    first = await core.streams.ListStreams(ss.ListStreamsRequest(page_size=1), timeout=10)
    for request in (
        ss.ListStreamsRequest(page_token=first.next_page_token, state=STREAM_STATE_LIVE),
        ss.ListStreamsRequest(page_token="nonsense"),
    ):
        async with refused(Reason.BAD_PAGE_TOKEN):
            await core.streams.ListStreams(request, timeout=10)
    async with refused(Reason.INVALID_FIELD, "page_size"):
        await core.streams.ListStreams(ss.ListStreamsRequest(page_size=-1), timeout=10)


async def test_viewers_are_added_up_over_the_fanouts(core: CoreClient) -> None:
    stream = await core.create()
    async with connect(core.settings, "fanouts") as client:
        for instance, viewers in (("one", 3), ("two", 4)):
            report = ViewerReport(stream_id=stream.stream_id, viewers=viewers).SerializeToString()
            await client.publish(viewers_subject(stream.stream_id), report, headers={FANOUT_HEADER: instance})

        async def all_seen() -> bool:
            request = ss.GetStreamRequest(stream_id=stream.stream_id)
            return (await core.streams.GetStream(request, timeout=10)).viewers == 7

        await until(all_seen, "both are counted")
