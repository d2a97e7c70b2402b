"""History on join: storage's comments, and the log from there; the log alone when storage is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import pytest

from livecomments.settings import Settings
from livecomments.v1 import history_service_pb2 as pb
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, Comment, CommentDeleted, Event
from livecomments.v1.history_service_pb2_grpc import (
    HistoryServiceServicer,
    HistoryServiceStub,
    add_HistoryServiceServicer_to_server,
)
from tests.fanout.parts import (
    Source,
    comment,
    fanout_settings,
    open_source,
    posted,
    relay,
    served,
    service_metadata,
    soon,
    watch,
)
from tests.processes import NatsServer, Service

pytestmark = pytest.mark.anyio


class Store(HistoryServiceServicer):
    """Answers what it was told to."""

    def __init__(self) -> None:
        self.address = ""
        self.comments: list[Comment] = []
        self.through_cursor = ""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.metadata: list[tuple[str, str]] = []

    async def ListRecentComments(  # type: ignore[override]  # noqa: N802
        self, request: pb.ListRecentCommentsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListRecentCommentsResponse:
        self.metadata = list(context.invocation_metadata() or ())
        await self.may_answer.wait()
        return pb.ListRecentCommentsResponse(
            comments=self.comments[-request.page_size :], through_cursor=self.through_cursor
        )


@contextlib.asynccontextmanager
async def open_store() -> AsyncIterator[Store]:
    store, server = Store(), grpc.aio.server()
    add_HistoryServiceServicer_to_server(store, server)
    store.address = "127.0.0.1:{}".format(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    try:
        yield store
    finally:
        await server.stop(None)


async def commit_and_store(source: Source, store: Store, *texts: str) -> int:
    comments = [comment("a", text) for text in texts]
    seq = await source.commit("a", posted(*comments))
    store.comments += comments
    store.through_cursor = source.cursor(seq)
    return seq


async def test_the_log_continues_where_the_store_ends(settings: Settings) -> None:
    async with (
        open_source(settings) as source,
        open_store() as store,
        served(fanout_settings(settings, storage_urls=(store.address,))) as address,
    ):
        await source.make_stream("a")
        # What the log has lost is in the store alone.
        through = await commit_and_store(source, store, "stored", "stored and deleted")
        await source.js.purge_stream(source.shard.name)
        seqs = await source.post_each("a", ["in the log", "in the log, too"])
        await source.tell("a", Event(deleted=CommentDeleted(comment_id=store.comments[1].comment_id)))
        async with watch(address, "a") as watching:
            assert watching.snapshot_texts == ["stored", "in the log", "in the log, too"]
            assert service_metadata(settings.data_dir)[0] in [tuple(pair) for pair in store.metadata]
            live = await source.post("a", "live")
            await soon(lambda: watching.seqs == [live], "the feed goes on")
            async with watch(address, "a", source.cursor(through)) as resumed:
                assert resumed.snapshot.recovered
                await soon(lambda: live in resumed.seqs, "what was missed")
                assert resumed.seqs[:2] == seqs


async def test_a_store_that_has_everything_is_enough(settings: Settings) -> None:
    async with (
        open_source(settings) as source,
        open_store() as store,
        served(fanout_settings(settings, storage_urls=(store.address,))) as address,
    ):
        await source.make_stream("a")
        seq = await commit_and_store(source, store, *(str(number) for number in range(250)))
        async with watch(address, "a") as watching, relay(address, settings.data_dir) as edge:
            assert watching.snapshot_texts == [str(number) for number in range(150, 250)]
            assert watching.snapshot.cursor == source.cursor(seq)
            assert len((await edge.join("a")).snapshot.comments) == 200


@pytest.mark.parametrize("trouble", ["away", "slow", "of another life"])
async def test_without_the_store_the_log_stands_in(settings: Settings, trouble: str) -> None:
    async with open_source(settings) as source, open_store() as store:
        addresses = (store.address,)
        if trouble == "away":
            addresses = ("127.0.0.1:1",)
        await source.make_stream("a")
        await commit_and_store(source, store, "one", "two")
        await source.post("a", "three")
        if trouble == "slow":
            store.may_answer.clear()
        if trouble == "of another life":
            store.through_cursor = "0ld-1"
        async with served(fanout_settings(settings, storage_urls=addresses)) as address:
            async with watch(address, "a") as watching:
                assert watching.snapshot_texts == ["one", "two", "three"]
                live = await source.post("a", "live")
                await soon(lambda: watching.seqs == [live], "the feed goes on")
            store.may_answer.set()


async def test_another_store_is_asked_while_the_first_is_silent(settings: Settings) -> None:
    async with open_source(settings) as source, open_store() as silent, open_store() as store:
        await source.make_stream("a")
        await commit_and_store(source, store, "in the store alone")
        await source.js.purge_stream(source.shard.name)
        silent.may_answer.clear()
        addresses = (silent.address, store.address)
        async with (
            served(fanout_settings(settings, storage_urls=addresses)) as address,
            watch(address, "a") as watching,
        ):
            assert silent.metadata, "it was asked first"
            assert watching.snapshot_texts == ["in the store alone"]
        silent.may_answer.set()


async def test_a_long_log_gives_its_last_comments_without_being_read_whole(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        for name in ("busy", "calm", "other"):
            await source.make_stream(name)
        for number in range(40):
            await source.post("busy", *(f"{number}.{index}" for index in range(30)))
        await asyncio.gather(*(source.post("other", "between") for _ in range(500)))
        calm = await asyncio.gather(*(source.post("calm", f"{number}") for number in range(900)))
        expected = {
            "busy": [f"{number}.{index}" for number in range(40) for index in range(30)][-200:],
            "calm": [str(number) for _, number in sorted(zip(calm, range(900), strict=True))][-200:],
        }
        async with relay(address, settings.data_dir) as edge:
            for name, texts in expected.items():
                assert (await edge.join(name)).snapshot_texts == texts


async def test_a_stream_that_nobody_has_posted_in_begins_empty_and_goes_on(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        await source.make_stream("b")
        await source.post("b", "of another stream")
        async with watch(address, "a") as watching:
            assert not watching.snapshot.comments
            seq = await source.post("a", "first")
            await soon(lambda: watching.seqs == [seq], "the first comment is there")
        # What was trimmed before the topic was opened is not claimed to be known.
        await source.js.purge_stream(source.shard.name)
        await source.make_stream("c")
        async with watch(address, "c", source.cursor(0)) as resumed:
            assert not resumed.snapshot.recovered


async def test_an_end_that_only_the_log_knows_is_seen(settings: Settings) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        stream = await source.make_stream("a")
        await source.post("a", "last words")
        end = await source.end(stream)
        async with watch(address, "a") as watching:
            assert watching.snapshot.stream.state == STREAM_STATE_ENDED
            assert watching.snapshot.cursor == source.cursor(end)
            await soon(lambda: watching.ended, "the watch ends")


async def test_a_topic_stays_a_while_after_its_last_subscriber(settings: Settings) -> None:
    async with (
        open_source(settings) as source,
        open_store() as store,
        served(fanout_settings(settings, storage_urls=(store.address,), fanout_linger_s=0.3)) as address,
    ):
        await source.make_stream("a")
        await commit_and_store(source, store, "stored")
        async with watch(address, "a"):
            pass
        store.metadata.clear()
        async with watch(address, "a") as watching:
            assert watching.snapshot_texts == ["stored"]
            assert not store.metadata

        async def asked_again() -> bool:
            async with watch(address, "a"):
                return bool(store.metadata)

        # One who comes keeps it open: let it go for longer each time.
        async with asyncio.timeout(10):
            pause_s = 0.1
            while not await asked_again():
                await asyncio.sleep(pause_s)
                pause_s *= 1.5


async def test_history_comes_from_the_real_storage(settings: Settings, nats_server: NatsServer) -> None:
    with Service("storage", settings.data_dir, nats_url=nats_server.url) as storage:
        async with open_source(settings) as source:
            stream = await source.make_stream("a")
            one, two = comment("a", "one"), comment("a", "two")
            for which in (one, two):
                which.offset_ms = which.posted_at_ms - stream.started_at_ms
                await source.commit("a", posted(which))
            await until_stored(storage.address, 2)
            # From here on the store alone can know them.
            await source.js.purge_stream(source.shard.name)
            async with (
                served(fanout_settings(settings, storage_urls=(storage.address,))) as address,
                watch(address, "a") as watching,
            ):
                assert watching.snapshot_texts == ["one", "two"]
                seq = await source.post("a", "live")
                await soon(lambda: watching.seqs == [seq], "the feed goes on")


async def until_stored(address: str, comments: int) -> None:
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(10):
        store = HistoryServiceStub(channel)
        request = pb.ListRecentCommentsRequest(stream_id="a")
        while len((await store.ListRecentComments(request)).comments) < comments:  # noqa: ASYNC110 (it is in another process)
            await asyncio.sleep(0.02)
