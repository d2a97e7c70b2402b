"""Several processes behind one address: replaced, renewed and drained, and nobody who waits is reset."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from edge.passing import NoSuchProcess, Request, pass_on
from edge.workers import Workers as Among
from tests.processes import Service, eventually
from tests.system import System
from tests.viewers import Viewer, watch

WORKERS = 2


class Workers:
    """An edge with several workers beside the system's own."""

    def __init__(self, system: System, service: Service) -> None:
        self.system = system
        self.service = service

    @property
    def facts(self) -> list[dict[str, Any]]:
        workers: list[dict[str, Any]] = self.service.facts()["workers"]
        return workers

    @property
    def url(self) -> str:
        return f"http://{self.service.address}"

    @property
    def pids(self) -> list[int]:
        return [int(worker["pid"]) for worker in self.facts]

    @property
    def names(self) -> list[str]:
        return [worker["name"] for worker in self.facts]

    def inner(self, number: int) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=self.facts[number]["inner"])
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=10)

    def is_ready(self) -> bool:
        for number in range(WORKERS):
            with self.inner(number) as client:
                if client.get("/readyz").status_code != 200:
                    return False
        return True


@pytest.fixture
def workers(system: System, request: pytest.FixtureRequest) -> Iterator[Workers]:
    instance = f"-{request.node.name[:40]}"
    with system.service("edge", instance, edge_workers=str(WORKERS), edge_drain_s="0.2") as service:
        running = Workers(system, service)
        eventually(running.is_ready, "all workers are ready")
        yield running


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def ask(connection: socket.socket, path: str = "/livez") -> None:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


def answer(connection: socket.socket) -> bytes:
    """All that comes; fails when the connection is reset."""
    data = b""
    with connection:
        while part := connection.recv(65536):
            data += part
    return data


def count_of(metrics: str, name: str) -> float:
    text = httpx.get(f"http://{metrics}/metrics", trust_env=False).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def test_the_workers_share_one_address_and_each_counts_its_own(workers: Workers) -> None:
    stream = workers.system.create_stream()
    with ExitStack() as open_ones:
        viewers = [open_ones.enter_context(Viewer(workers.url, stream)) for _ in range(60)]
        watch(viewers, lambda: all(viewer.events for viewer in viewers), "everyone's snapshot")
        shares = [count_of(worker["metrics"], "livecomments_edge_connections ") for worker in workers.facts]
        assert sum(shares) == 60
        assert all(shares), "the kernel spreads them"
        workers.system.post(stream, "to all of them")
        watch(viewers, lambda: all(viewer.texts() for viewer in viewers), "the comment, by each worker's own relay")
    assert workers.names == ["0.0", "1.0"]


def test_a_worker_that_is_killed_is_replaced_and_who_waits_in_its_socket_is_served(workers: Workers) -> None:
    for pid in workers.pids:
        os.kill(pid, signal.SIGSTOP)
    waiting = [connect(workers.service.address) for _ in range(100)]
    for connection in waiting:
        ask(connection)
    for pid in workers.pids:
        os.kill(pid, signal.SIGKILL)
    assert [answer(connection)[:12] for connection in waiting] == [b"HTTP/1.1 200"] * 100
    eventually(lambda: workers.names == ["0.1", "1.1"], "the replacements are told")


def test_a_renewal_refuses_and_resets_nobody(workers: Workers) -> None:
    before = workers.pids
    with workers.inner(0) as client:
        assert client.get("/livez").status_code == 200
    workers.service.signal(signal.SIGHUP)
    answers = []

    def all_are_new() -> bool:
        connection = connect(workers.service.address)
        ask(connection)
        answers.append(answer(connection)[:12])
        return workers.names == ["0.1", "1.1"]

    eventually(all_are_new, "both workers are new")
    assert set(answers) == {b"HTTP/1.1 200"}
    assert not set(before) & set(workers.pids)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before), "the old ones have ended")


def test_who_waits_is_served_before_the_last_worker_leaves(workers: Workers) -> None:
    for pid in workers.pids:
        os.kill(pid, signal.SIGSTOP)
    # More than are accepted in one turn of the loop.
    waiting = [connect(workers.service.address) for _ in range(600)]
    for connection in waiting:
        ask(connection)
    workers.service.signal(signal.SIGTERM)
    for pid in workers.pids:
        os.kill(pid, signal.SIGCONT)
    assert [answer(connection)[:12] for connection in waiting] == [b"HTTP/1.1 200"] * 600
    assert workers.service.popen is not None
    assert workers.service.popen.wait(15) == 0
    with pytest.raises(ConnectionRefusedError):
        connect(workers.service.address)


def test_workers_do_not_outlive_a_parent_that_was_killed(workers: Workers) -> None:
    pids = workers.pids
    workers.service.kill()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "the workers have ended")


def test_a_call_reaches_the_process_that_it_is_for_and_no_successor(workers: Workers) -> None:
    folder = Path(workers.facts[0]["inner"]).parent
    assert folder.stat().st_mode & 0o077 == 0, "nobody else may enter"
    other = Among("0.0", folder).address("1.0")
    assert other is not None
    answered = trio.run(pass_on, other, Request("GET", "/v1/streams/nowhere", [("Origin", "x")]))
    assert answered.status == 404
    assert ("content-type", "application/problem+json") in answered.headers
    assert json.loads(answered.body)["reason"] == "STREAM_NOT_FOUND"
    os.kill(workers.pids[1], signal.SIGKILL)
    eventually(lambda: workers.names == ["0.0", "1.1"], "the replacement serves")
    with pytest.raises(NoSuchProcess):
        trio.run(pass_on, other, Request("GET", "/livez", []))
    lines = [json.loads(line) for line in workers.service.output.read_text().splitlines()]
    assert {line.get("worker") for line in lines if line["event"] == "fanout reached"} >= {"0.0", "1.0"}
    (death,) = [line for line in lines if line["event"] == "worker died"]
    assert (death["worker"], death["how"]) == ("1.0", "killed by SIGKILL")


def test_a_worker_that_can_not_start_ends_the_parent_with_its_word(system: System) -> None:
    service = system.service("edge", "-bad", edge_workers="2", edge_jwt_secret_file="/nowhere")
    with pytest.raises(AssertionError, match="ended with 2"):
        service.start()
    assert "setting LIVECOMMENTS_EDGE_JWT_SECRET_FILE" in service.output.read_text()
