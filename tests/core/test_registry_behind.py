"""A registry that does not answer while the log does: nobody waits for it, and what it missed it is told."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from livecomments.v1 import stream_service_pb2 as ss
from livecomments.v1.comment_pb2 import Stream
from tests.core.client import CoreClient, open_client
from tests.core.waiting import until, until_set
from tests.nats_proxy import Frame, NatsProxy
from tests.processes import NatsServer, Service

pytestmark = pytest.mark.anyio


@pytest.fixture
def proxy(nats_server: NatsServer) -> Iterator[NatsProxy]:
    with NatsProxy(nats_server.url) as proxy:
        yield proxy


@pytest.fixture
def service(data_dir: Path, proxy: NatsProxy) -> Iterator[Service]:
    with Service("core", data_dir, nats_url=proxy.url, drain_s="30") as service:
        yield service


@pytest.fixture
async def client(service: Service, data_dir: Path) -> AsyncIterator[CoreClient]:
    async with open_client(service, data_dir) as client:
        yield client


def is_entry_of(stream_id: str) -> Callable[[Frame], bool]:
    """A core writes a stream into the registry."""
    return lambda frame: frame.verb == b"HPUB" and frame.subject == f"$KV.streams.{stream_id}".encode()


def is_look_up(frame: Frame) -> bool:
    """A core asks the registry's bucket for one stream."""
    return frame.verb == b"PUB" and b"STREAM.MSG.GET.KV_streams" in frame.subject


async def rename(client: CoreClient, stream_id: str) -> Stream:
    request = ss.UpdateStreamRequest(stream=Stream(stream_id=stream_id, title="Renamed"))
    request.update_mask.paths.append("title")
    return (await client.streams.UpdateStream(request, metadata=client.host, timeout=10)).stream


async def test_no_post_waits_while_the_registry_is_told(client: CoreClient, proxy: NatsProxy) -> None:
    stream_id = (await client.create()).stream_id
    await client.post(stream_id, "before", by=client.host)
    with proxy.swallowing(is_entry_of(stream_id)) as swallowed:
        renaming = asyncio.create_task(rename(client, stream_id))
        await until_set(swallowed, "core tells the registry")
        for number in range(10):
            await client.post(stream_id, f"{number}", by=client.host)
        assert not renaming.done(), "the posts were answered after the registry"
        assert (await renaming).title == "Renamed"
    assert await client.logged_kinds(stream_id) == ["posted", "updated", *["posted"] * 10]


async def test_what_it_did_not_take_it_is_told_again_also_while_people_post(
    client: CoreClient, proxy: NatsProxy
) -> None:
    stream_id = (await client.create()).stream_id
    with proxy.swallowing(is_entry_of(stream_id)):
        assert (await rename(client, stream_id)).title == "Renamed"
        assert (await client.get(stream_id)).title == "A title"
    numbers = itertools.count()

    async def is_told() -> bool:
        # No second passes without a post: there is always something else to do.
        await client.post(stream_id, f"{next(numbers)}", by=client.host)
        return (await client.get(stream_id)).title == "Renamed"

    await until(is_told, "the registry knows the new title")


async def test_a_draining_core_answers_who_waits_for_a_look_up(
    client: CoreClient, service: Service, proxy: NatsProxy
) -> None:
    async with client.ingest() as ingest:
        with proxy.swallowing(is_look_up) as swallowed:
            item = ingest.item("nobody-knows-it")
            await ingest.send([item])
            await until_set(swallowed, "core looks the stream up")
            service.signal(signal.SIGTERM)
            (answer,) = await ingest.answers_of([item])
            assert answer.problem.reason in {"DRAINING", "OVERLOADED"}
            assert await ingest.call.code() is not None
