"""Reads while the database is away or storage is frozen: merged, and refused in time; and live goes on."""

import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from livecomments.errors import Reason
from tests.e2e.test_errors import refused
from tests.processes import eventually
from tests.system import System
from tests.viewers import Viewer

READERS = 20
Outage = Callable[[System], AbstractContextManager[None]]
BOUND_S = 15
"""A read is refused after 5 s; the machine may be busy."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of this module's own."""
    with System(tmp_path_factory.mktemp("database"), core_user_rate="0", edge_address_rate="0") as running:
        yield running


@contextmanager
def failing(system: System) -> Iterator[None]:
    """Every statement fails."""
    database = sqlite3.connect(system.data_dir / "comments.db", isolation_level=None, timeout=10)
    database.execute("ALTER TABLE comments RENAME TO away")
    try:
        yield
    finally:
        database.execute("ALTER TABLE away RENAME TO comments")
        database.close()


@contextmanager
def frozen(system: System) -> Iterator[None]:
    """Nothing is answered at all."""
    system.storage.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        system.storage.signal(signal.SIGCONT)


@pytest.mark.parametrize("outage", [failing, frozen])
def test_without_the_database_reads_are_refused_in_time_and_live_goes_on(own: System, outage: Outage) -> None:
    warm, cold = own.create_stream(), own.create_stream()
    own.post(warm, "before")
    own.post(cold, "before")
    for stream in (warm, cold):
        own.stored(stream, lambda comments: len(comments) == 1)
    began_without = own.fanout.metric("livecomments_fanout_histories_without_storage_total")
    with own.watch(warm) as viewer:
        with outage(own):
            for number in range(5):
                own.post(warm, f"during {number}")
            viewer.until(lambda v: "during 4" in v.texts(), "posts are delivered")
            with own.watch(warm) as late:
                assert late.texts() == viewer.texts(), "a join is answered from memory"
            # One of a stream that nobody has watched begins with what the log holds of the last minutes.
            with own.watch(cold) as first:
                _begins_with(first, ["before"])
                own.post(cold, "during")
                first.until(lambda v: "during" in v.texts(), "and it goes on")
            assert _recent(own, warm) == viewer.texts(), "the latest are in memory"
            assert _recent(own, cold) == ["before", "during"], "as far as the log has them"
            began = time.monotonic()
            refused(own.request("GET", f"/v1/streams/{cold}/comments"), Reason.OVERLOADED)
            assert time.monotonic() - began < BOUND_S
        assert own.fanout.metric("livecomments_fanout_histories_without_storage_total") == began_without + 1
        texts = [comment["text"] for comment in own.stored(warm, lambda comments: len(comments) == 6)]
        assert texts == viewer.texts(), "all of it is stored once the database is back"


def _recent(system: System, stream: str) -> list[str]:
    answer = system.request("GET", f"/v1/streams/{stream}/comments/recent")
    assert answer.status_code == 200, answer.text
    return [comment["text"] for comment in answer.json()["comments"]]


def _begins_with(viewer: Viewer, texts: list[str]) -> None:
    snapshot = viewer.events[0]
    assert snapshot.name == "snapshot"
    assert [comment["text"] for comment in snapshot.data["comments"]] == texts
    # Nothing of the feed is late or missing: only what is older than the log's tail.
    assert snapshot.data["degraded"] is False


@pytest.mark.parametrize("method", ["ListComments", "ListRecentComments"])
def test_identical_reads_at_one_edge_cause_one_read_of_the_store(own: System, method: str) -> None:
    stream = own.create_stream()
    own.post(stream, "here")
    own.post(stream, "later")
    own.stored(stream, lambda comments: len(comments) == 2)
    query = "?start_time=0"
    if method == "ListRecentComments":
        latest = own.request("GET", f"/v1/streams/{stream}/comments/recent?limit=1").json()
        query = f"/recent?limit=1&cursor={latest['oldest_cursor']}"
    sample = f'livecomments_storage_store_reads_total{{method="{method}"}}'
    reads, merged = own.storage.metric(sample), own.edge.metric("livecomments_edge_merged_reads_total")
    request = f"GET /v1/streams/{stream}/comments{query} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n".encode()
    host, port = own.edge.address.split(":")
    with ExitStack() as opened:
        callers = [
            opened.enter_context(socket.create_connection((host, int(port)), timeout=20)) for _ in range(READERS)
        ]
        with frozen(own):
            for caller in callers:
                caller.sendall(request)
            eventually(
                lambda: own.edge.metric("livecomments_edge_merged_reads_total") - merged == READERS - 1, "they wait"
            )
        answers = [b"".join(iter(lambda caller=caller: caller.recv(1 << 16), b"")) for caller in callers]
    assert all(answer.startswith(b"HTTP/1.1 200") and b'"here"' in answer for answer in answers)
    assert own.storage.metric(sample) == reads + 1
