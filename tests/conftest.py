"""Fixtures that every room's tests share."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextvars import Context
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Session

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

# A shell lets its background jobs ignore Ctrl-C, and so would do all that they start: also the commands under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class ForgivingLoop(asyncio.SelectorEventLoop):
    """A loop that, once closed, drops what threads still bring it.

    grpc.aio delivers a call's last events to the loop that made the call, even when that has been closed, and the
    error would come up in whichever test runs by then. One loop for all tests is no way out: anyio would run the trio
    tests on it, too.

    And one that always comes to its end: when a test's time is up, pytest-timeout raises within the loop, and anyio,
    closing it, cancels each task once. Its own takes that for the test's and would wait for another for ever.
    """

    _was_broken = False

    def run_until_complete(self, future: Any) -> Any:
        if self._was_broken:
            self._cancel_all()
        try:
            return super().run_until_complete(future)
        except pytest.fail.Exception:
            self._was_broken = True
            raise

    def _cancel_all(self) -> None:
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.call_later(0.5, self._cancel_all)

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
    # The driver's 10 s were seen to pass for a TRUNCATE, which waits for disks and compactions, on a busy machine.
    session.get_execution_profile(EXEC_PROFILE_DEFAULT).request_timeout = 90
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


@pytest.fixture
def no_error_is_logged(system: System) -> Iterator[None]:
    """The shared system's edge has no word of an error for what the test does."""
    with system.edge.logs_no_error():
        yield


@pytest.fixture(params=["door", "hypercorn"])
def reused(request: pytest.FixtureRequest) -> bool:
    """Whether a connection is Hypercorn's already when what it is for begins."""
    return bool(request.param == "hypercorn")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first, else in random order: one that is begun last keeps the others' workers waiting for it."""
    items.sort(key=lambda item: "faults" not in item.path.parts)
