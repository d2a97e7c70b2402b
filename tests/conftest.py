"""Fixtures that every room's tests share."""

import asyncio
import os
from collections.abc import Iterator
from contextvars import Context
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from cassandra.cluster import Session

from livecomments.local import make_secrets
from livecomments.settings import Settings
from storage.cql.servers import Servers
from storage.cql.session import connect, disconnect
from tests.cql.server import require_server
from tests.cql.shared import empty, new_keyspace, shared_server
from tests.processes import NatsServer
from tests.system import System

# How long an example takes depends on what else runs on the machine.
hypothesis.settings.register_profile("no judge of time", deadline=None)
hypothesis.settings.load_profile("no judge of time")


class ForgivingLoop(asyncio.SelectorEventLoop):
    """A loop that, once closed, drops what threads still bring it.

    grpc.aio delivers a call's last events to the loop that made the call, even when that has been closed, and the
    error would come up in whichever test runs by then. One loop for all tests is no way out: anyio would run the trio
    tests on it, too.
    """

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        if self.is_closed():
            return asyncio.Handle(callback, args, self, context)
        return super().call_soon_threadsafe(callback, *args, context=context)


@pytest.fixture
def anyio_backend() -> object:
    """Rooms on asyncio; the edge's folder overrides this with trio."""
    return "asyncio", {"loop_factory": ForgivingLoop}


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
def cql_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of the CQL server that all workers of this run share; tests take keyspaces of their own."""
    require_server()
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with shared_server(folder / "cql") as port:
        yield port


@pytest.fixture(scope="session")
def keyspace(cql_port: int) -> Servers:
    """One for all tests of a worker: making one takes a second."""
    return new_keyspace(cql_port)


@pytest.fixture(scope="session")
def cql_session(keyspace: Servers) -> Iterator[Session]:
    """In that keyspace."""
    session = connect(keyspace)
    session.set_keyspace(keyspace.keyspace)
    yield session
    disconnect(session)


@pytest.fixture
def empty_keyspace(keyspace: Servers, cql_session: Session) -> Servers:
    """That keyspace, without a row in it."""
    empty(cql_session)
    return keyspace


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The whole system, shared by tests that leave its processes alone; each makes streams of its own."""
    with System(tmp_path_factory.mktemp("system"), core_user_rate="0", edge_address_rate="0") as running:
        yield running


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first, else in random order: one that is begun last keeps the others' workers waiting for it."""
    items.sort(key=lambda item: "faults" not in item.path.parts)
