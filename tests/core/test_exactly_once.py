"""The repetition of a post gets its first answer, whatever became of that: each time the log holds the comment once.

Core A reaches nats-server through a proxy that loses what it is told to; core B stands beside it, on the same log.
"""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from livecomments.errors import Reason
from livecomments.local import make_secrets
from livecomments.v1 import comment_service_pb2 as cs
from tests.core.client import CoreClient, open_client, post_until_answered, refused
from tests.core.waiting import until
from tests.nats_proxy import Loss, NatsProxy, is_append, is_append_ack
from tests.processes import NatsServer, Service

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("once")
    make_secrets(folder)
    return folder


@pytest.fixture(scope="module")
def nats(folder: Path) -> Iterator[NatsServer]:
    with NatsServer(folder) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(nats: NatsServer) -> Iterator[NatsProxy]:
    with NatsProxy(nats.url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def core_a(folder: Path, proxy: NatsProxy) -> Iterator[Service]:
    with Service("core", folder, "-a", nats_url=proxy.url) as service:
        yield service


@pytest.fixture(scope="module")
def core_b(folder: Path, nats: NatsServer) -> Iterator[Service]:
    with Service("core", folder, "-b", nats_url=nats.url) as service:
        yield service


@pytest.fixture
async def a(core_a: Service, folder: Path) -> AsyncIterator[CoreClient]:
    async with open_client(core_a, folder) as client:
        yield client


@pytest.fixture
async def b(core_b: Service, folder: Path) -> AsyncIterator[CoreClient]:
    async with open_client(core_b, folder) as client:
        yield client


async def stream_of_both(a: CoreClient, b: CoreClient) -> str:
    """A stream that each has posted to, so that each has a committer with a ledger of its own."""
    stream_id = (await a.create()).stream_id
    for core, key in ((a, "a"), (b, "b")):
        await post_until_answered(core, stream_id, "before", key)
    return stream_id


async def post_once(core: CoreClient, stream_id: str) -> cs.PostCommentResponse:
    return await post_until_answered(core, stream_id, "once", "the key")


async def until_lost(lost: threading.Event) -> None:
    async def has_happened() -> bool:
        return lost.is_set()

    await until(has_happened, "it is lost")


async def check_once(a: CoreClient, b: CoreClient, stream_id: str, answer: cs.PostCommentResponse) -> None:
    """The log holds the comment once; both cores give this answer again, and refuse another text under its key."""
    for core in (b, a):
        assert await post_once(core, stream_id) == answer
        async with refused(Reason.KEY_REUSED):
            await core.post(stream_id, "another text", key="the key", by=core.host)
    logged = await b.logged_comments(stream_id)
    assert [comment for comment in logged if comment.text != "before"] == [answer.comment]


@pytest.mark.parametrize("loss", list(Loss))
async def test_after_the_ack_was_lost(a: CoreClient, b: CoreClient, proxy: NatsProxy, loss: Loss) -> None:
    stream_id = await stream_of_both(a, b)
    lost = proxy.lose(is_append_ack, loss)
    answer = await post_once(a, stream_id)
    assert lost.is_set()
    await check_once(a, b, stream_id, answer)


@pytest.mark.parametrize("loss", list(Loss))
async def test_after_the_publish_itself_was_lost(a: CoreClient, b: CoreClient, proxy: NatsProxy, loss: Loss) -> None:
    stream_id = await stream_of_both(a, b)
    lost = proxy.lose(is_append, loss)
    answer = await post_once(a, stream_id)
    assert lost.is_set()
    await check_once(a, b, stream_id, answer)


async def test_after_the_ack_was_lost_and_another_core_went_on(a: CoreClient, b: CoreClient, proxy: NatsProxy) -> None:
    """The first core finds its message behind the end that it knew, and another's behind that."""
    stream_id = await stream_of_both(a, b)
    lost = proxy.lose(is_append_ack)
    first = asyncio.ensure_future(post_once(a, stream_id))
    await until_lost(lost)
    retried = await post_once(b, stream_id)
    await b.post(stream_id, "before", by=b.host)
    assert await first == retried
    await check_once(a, b, stream_id, retried)


async def test_after_the_core_was_killed_between_publish_and_answer(
    a: CoreClient, b: CoreClient, core_a: Service, proxy: NatsProxy
) -> None:
    stream_id = await stream_of_both(a, b)
    lost = proxy.lose(is_append_ack)
    unanswered = asyncio.ensure_future(a.post(stream_id, "once", key="the key", by=a.host))
    await until_lost(lost)
    core_a.kill()
    with pytest.raises(grpc.aio.AioRpcError):
        await unanswered
    answer = await post_once(b, stream_id)
    await asyncio.to_thread(core_a.start)
    await check_once(a, b, stream_id, answer)


async def test_after_the_core_was_killed_behind_its_answer(a: CoreClient, b: CoreClient, core_a: Service) -> None:
    """A core that had never heard of the stream takes it over."""
    stream_id = (await a.create()).stream_id
    answer = await post_once(a, stream_id)
    core_a.kill()
    assert await post_once(b, stream_id) == answer
    await asyncio.to_thread(core_a.start)
    await check_once(a, b, stream_id, answer)


async def test_after_the_log_was_frozen_and_both_cores_published(
    a: CoreClient, b: CoreClient, nats: NatsServer
) -> None:
    """Without the fence both are stored: each was on its way when the log woke up."""
    stream_id = await stream_of_both(a, b)
    nats.signal(signal.SIGSTOP)
    try:
        for core in (a, b):
            async with refused(Reason.NOT_CONFIRMED):
                await core.post(stream_id, "once", key="the key", by=core.host)
    finally:
        nats.signal(signal.SIGCONT)
    await check_once(a, b, stream_id, await post_once(a, stream_id))


async def test_after_the_core_was_frozen_while_it_published(
    a: CoreClient, b: CoreClient, core_a: Service, proxy: NatsProxy
) -> None:
    """Its publish may reach the log before the retry, or never: what it does when it wakes up changes nothing."""
    stream_id = await stream_of_both(a, b)
    lost = proxy.lose(is_append)
    first = asyncio.ensure_future(post_once(a, stream_id))
    await until_lost(lost)
    core_a.signal(signal.SIGSTOP)
    try:
        answer = await post_once(b, stream_id)
    finally:
        core_a.signal(signal.SIGCONT)
    assert await first == answer
    await check_once(a, b, stream_id, answer)
