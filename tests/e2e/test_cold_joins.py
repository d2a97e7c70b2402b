"""A crowd at the doors of a stream that nobody has watched: the store is read once for all of them."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.processes import Service, eventually
from tests.system import System

JOINERS = 1_000
EDGES = 3
_READS = 'livecomments_storage_store_reads_total{method="ListRecentComments"}'


@pytest.fixture(scope="module")
def edges(system: System) -> Iterator[list[Service]]:
    with ExitStack() as running:
        started = [running.enter_context(system.service("edge", f"-crowd-{number}")) for number in range(EDGES)]
        for edge in started:
            ready = f"http://{edge.address}/readyz"
            eventually(lambda url=ready: system.client.get(url).status_code == 200, "the edge is ready")
        yield started


@contextmanager
def crowd(edges: list[Service]) -> Iterator[list[socket.socket]]:
    """Connections that have asked for nothing yet, spread over the edges."""
    with ExitStack() as opened:
        yield [
            opened.enter_context(socket.create_connection(edges[number % EDGES].address.split(":"), timeout=10))
            for number in range(JOINERS)
        ]


def snapshots(joiners: list[socket.socket], timeout_s: float = 60) -> list[bytes]:
    """What each has been sent, once it holds a whole snapshot."""
    received = {joiner.fileno(): b"" for joiner in joiners}
    by_fd = {joiner.fileno(): joiner for joiner in joiners}
    poll = select.poll()
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + timeout_s
    while by_fd:
        assert time.monotonic() < deadline, f"{len(by_fd)} of {len(joiners)} have no snapshot within {timeout_s} s"
        for fd, _ in poll.poll(1_000):
            data = by_fd[fd].recv(1 << 16)
            assert data, f"closed instead of answered: {received[fd]!r}"
            received[fd] += data
            if b"event: snapshot" in received[fd] and received[fd].endswith(b"\n\n\r\n"):
                poll.unregister(fd)
                del by_fd[fd]
    return list(received.values())


def test_a_thousand_joiners_of_a_cold_stream_at_several_edges_cause_one_read_of_the_store(
    system: System, edges: list[Service]
) -> None:
    stream = system.create_stream()
    for number in range(5):
        system.post(stream, f"comment {number}")
    system.stored(stream, lambda comments: len(comments) == 5)
    before = system.storage.metric(_READS)
    with crowd(edges) as joiners:
        request = f"GET /v1/streams/{stream}/comments/subscribe HTTP/1.1\r\nHost: edge\r\n\r\n".encode()
        for joiner in joiners:
            joiner.sendall(request)
        for answer in snapshots(joiners):
            assert answer.startswith(b"HTTP/1.1 200")
            assert all(f"comment {number}".encode() in answer for number in range(5))
    assert system.storage.metric(_READS) == before + 1
