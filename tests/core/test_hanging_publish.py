"""A stream whose publish hangs: nats-server answers for every other one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.kv import KeyValue

from core.backlog import Backlog
from core.bans import BanList
from core.commit import BatchLimits, Committer
from core.fence import Fence
from core.ingest import OPEN_MAX, IngestCall
from core.ledger import Post
from core.limits import UserRate
from core.repeats import Repeats
from core.stream_log import StreamLog
from core.streams import StreamStore
from core.summaries import Summaries
from livecomments.errors import Reason
from livecomments.log import Shard
from livecomments.registry import Registry
from livecomments.v1.comment_pb2 import Stream
from tests.core.client import CoreClient, open_client, post_until_answered, refused
from tests.core.waiting import until_set
from tests.nats_proxy import NatsProxy, is_append_to
from tests.processes import NatsServer, Service

pytestmark = pytest.mark.anyio


@pytest.fixture
def proxy(nats_server: NatsServer) -> Iterator[NatsProxy]:
    with NatsProxy(nats_server.url) as proxy:
        yield proxy


@pytest.fixture
async def client(data_dir: Path, proxy: NatsProxy) -> AsyncIterator[CoreClient]:
    with Service("core", data_dir, nats_url=proxy.url) as service:
        async with open_client(service, data_dir) as client:
            yield client


async def test_it_delays_no_other_stream_and_recovers(client: CoreClient, proxy: NatsProxy) -> None:
    hung, other, late = [(await client.create()).stream_id for _ in range(3)]
    async with client.ingest() as ingest:
        await ingest.answers([ingest.item(hung, "before"), ingest.item(other, "before")])
        with proxy.swallowing(is_append_to(hung)) as swallowed:
            in_doubt = ingest.item(hung, "in doubt", "hanna", key="k")
            await ingest.send([in_doubt])
            await until_set(swallowed, "the publish hangs")
            behind = [ingest.item(hung, "behind it", f"user{number}") for number in range(50)]
            await ingest.send(behind)
            # Through the same call; one of the streams has to be taken over first.
            for number in range(100):
                (answer,) = await ingest.answers([ingest.item(other, f"{number}", f"user{number}")])
                assert answer.HasField("posted"), answer
                if number < 20:
                    assert not ingest.has_answered(in_doubt), "the others were not answered before WAIT_S was up"
            (answer,) = await ingest.answers([ingest.item(late, "first")])
            assert answer.HasField("posted"), answer
            first, *rest = await ingest.answers_of([in_doubt, *behind])
            assert first.problem.reason == "NOT_CONFIRMED"
            assert {answer.problem.reason for answer in rest} == {"OVERLOADED"}
            assert all(answer.problem.retry_after_ms > 0 for answer in (first, *rest))
            async with refused(Reason.OVERLOADED):
                await client.post(hung, "while it hangs")
    await post_until_answered(client, hung, "in doubt", "k")
    await client.post(hung, "after")
    assert [comment.text for comment in await client.logged_comments(hung)] == ["before", "in doubt", "after"]
    assert len(await client.logged_comments(other)) == 101
    assert await client.metric("livecomments_core_waiting_posts") == 0


async def test_it_leaves_its_caller_room_for_other_streams() -> None:
    """However many posts for it come through one call."""
    client = Client()
    bucket = KeyValue("streams", "KV_streams", "$KV.streams.", client.jetstream(), direct=False)
    log, store = StreamLog(client, Shard(0, "e"), "s"), StreamStore(bucket, Registry())
    summaries = Summaries(client, 1).of(log.shard, "s")
    fence = Fence(Stream(stream_id="s"), 1, log, store, summaries=summaries, rate=UserRate(1, 10))
    backlog, call = Backlog(), IngestCall()
    async with asyncio.TaskGroup() as tasks:
        # It does not run: so does one behave that waits for its log.
        committer = Committer(fence, BanList(), BatchLimits(1_000, 1 << 18), backlog, Repeats(tasks, backlog))
    call.expect(OPEN_MAX)
    for tag in range(OPEN_MAX):
        committer.offer([Post("ann", "Ann", False, "hello", 0, "", 0, 100, call, tag, 0.0)])
    reading = asyncio.ensure_future(call.room())
    answered = 0
    while not reading.done():
        response = await asyncio.wait_for(call.take(), 1)
        assert response is not None
        assert {result.problem.reason for result in response.results} == {"OVERLOADED"}
        answered += len(response.results)
    assert answered > 0
