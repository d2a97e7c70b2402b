"""A core process with its nats-server, and a client that speaks to it as anybody."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.core.client import CoreClient, open_client
from tests.core.stage import Stage, open_stage
from tests.processes import NatsServer, Service


@pytest.fixture(scope="session")
def standing_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("core")


@pytest.fixture(scope="session")
def standing_nats(standing_dir: Path) -> Iterator[NatsServer]:
    from livecomments.local import make_secrets

    make_secrets(standing_dir)
    with NatsServer(standing_dir) as server:
        yield server


@pytest.fixture(scope="session")
def standing_core(standing_dir: Path, standing_nats: NatsServer) -> Iterator[Service]:
    """One for all tests that don't hurt it: each works on streams of its own."""
    with Service("core", standing_dir, nats_url=standing_nats.url) as core:
        yield core
        assert core.stop() == 0
    errors = [
        line for line in core.output.read_text().splitlines() if '"level": "error"' in line or "Traceback" in line
    ]
    assert not errors, "nothing that the tests do is an error of core's"


@pytest.fixture
async def core(standing_core: Service, standing_dir: Path) -> AsyncIterator[CoreClient]:
    """A client of the standing core."""
    async with open_client(standing_core, standing_dir) as client:
        yield client


@pytest.fixture
async def stage(standing_nats: NatsServer, standing_dir: Path) -> AsyncIterator[Stage]:
    """A stream's log without a core process."""
    async with open_stage(standing_nats, standing_dir) as stage:
        yield stage


@pytest.fixture
def own_core(nats_server: NatsServer, data_dir: Path) -> Iterator[Service]:
    """A core of the test's own, to be killed."""
    with Service("core", data_dir, nats_url=nats_server.url, drain_s="1") as service:
        yield service
