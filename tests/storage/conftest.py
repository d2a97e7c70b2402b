"""A log, a storage process that writes it, and a client of both."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from livecomments.log import Shard, connect, open_log
from livecomments.settings import Settings
from tests.processes import NatsServer, Service
from tests.storage.broadcast import History, create_stream, history_of


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    async with connect(settings, "test") as client:
        yield client


@pytest.fixture
def js(client: Client) -> JetStreamContext:
    return client.jetstream()


@pytest.fixture
async def shard(js: JetStreamContext, settings: Settings) -> Shard:
    """The log, made as any service makes it."""
    return (await open_log(js, settings)).shards[0]


@pytest.fixture
def storage(nats_server: NatsServer, data_dir: Path) -> Iterator[Service]:
    """A storage process that serves."""
    with Service("storage", data_dir, nats_url=nats_server.url) as process:
        yield process


@pytest.fixture
async def history(storage: Service, client: Client) -> AsyncIterator[History]:
    """A client without a token; the public stream "demo" is there."""
    await create_stream(client, "demo")
    async with history_of(storage.address) as history:
        yield history
