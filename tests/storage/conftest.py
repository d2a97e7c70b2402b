"""A log, a storage process that writes it, and a broadcast."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from livecomments.log import connect
from livecomments.settings import Settings
from tests.processes import NatsServer, Service
from tests.storage.broadcast import Broadcast, on_air


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    async with connect(settings, "test") as client:
        yield client


@pytest.fixture
def storage(nats_server: NatsServer, data_dir: Path) -> Iterator[Service]:
    """A storage process that serves."""
    with Service("storage", data_dir, nats_url=nats_server.url) as process:
        yield process


@pytest.fixture
async def broadcast(client: Client, settings: Settings, storage: Service) -> AsyncIterator[Broadcast]:
    """A public stream without comments."""
    async with on_air(client, settings, storage.address) as broadcast:
        yield broadcast
