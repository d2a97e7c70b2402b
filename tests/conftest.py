"""Fixtures that every room's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from livecomments.local import make_secrets
from livecomments.settings import Settings
from tests.processes import NatsServer
from tests.system import System


@pytest.fixture
def anyio_backend() -> str:
    """Rooms on asyncio; the edge's folder overrides this with trio."""
    return "asyncio"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with secrets in it."""
    make_secrets(tmp_path)
    return tmp_path


@pytest.fixture
def nats_server(data_dir: Path) -> Iterator[NatsServer]:
    """A nats-server of the test's own, with an empty log."""
    with NatsServer(data_dir) as server:
        yield server


@pytest.fixture
def settings(nats_server: NatsServer, data_dir: Path) -> Settings:
    """What all services share, for this test's server and folder."""
    return Settings(nats_url=(nats_server.url,), data_dir=data_dir)


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The whole system, shared by tests that leave its processes alone; each makes streams of its own."""
    with System(tmp_path_factory.mktemp("system"), core_user_rate="0", edge_address_rate="0") as running:
        yield running
