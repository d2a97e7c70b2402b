"""The whole way of a comment, measured: posted over HTTP, durable, on every viewer's screen, back in the replay.

    .venv/bin/python scripts/bench/whole_way.py --rate 500 --seconds 10 --viewers 200 --users 20
    .venv/bin/python scripts/bench/whole_way.py --ramp 250,500,750,1000 --seconds 8

Starts a system of its own on free ports in a temporary folder (fsync on, SQLite), posts at an open-loop rate from a
process of its own, and watches from another: the time of a comment counts from when its post was due until a viewer
has read it. Checks that every viewer saw each accepted comment once, in one order, and that the replay has the same.
Loopback only.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import select
import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from machine import cpu_seconds
from native import REPOSITORY
from percentiles import percentile

PARTS = ("nats-server", "core", "storage", "fanout", "edge")


@dataclass
class Posted:
    """What the poster saw."""

    accepted: dict[str, int]
    """Nanoseconds at which the post was due, by comment id."""
    answer_ms: list[float]
    refused: dict[int, int]
    """Count by status; 0: no answer."""


async def post_all(address: tuple[str, int], stream: str, tokens: list[str], rate: float, seconds: float) -> Posted:
    """Posts ``rate`` comments/s over keep-alive connections, at due times that do not wait for answers."""
    result = Posted({}, [], {})
    total = int(rate * seconds)
    due_ns = [0] * total
    queue: asyncio.Queue[int] = asyncio.Queue()
    began = time.monotonic_ns()

    async def worker() -> None:
        reader, writer = await asyncio.open_connection(*address)
        try:
            while (number := await queue.get()) >= 0:
                body = json.dumps({"text": f"{number} What a goal, I can't believe he made that from there!"}).encode()
                writer.write(
                    f"POST /v1/streams/{stream}/comments HTTP/1.1\r\nHost: bench\r\n"
                    f"Authorization: Bearer {tokens[number % len(tokens)]}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                answer = await reader.readexactly(length)
                status = int(head.split(b" ", 2)[1])
                if status == 202:
                    result.accepted[json.loads(answer)["comment_id"]] = due_ns[number]
                    result.answer_ms.append((time.monotonic_ns() - due_ns[number]) / 1e6)
                else:
                    result.refused[status] = result.refused.get(status, 0) + 1
        finally:
            writer.close()

    async with asyncio.TaskGroup() as tasks:
        workers = 128
        for _ in range(workers):
            tasks.create_task(worker())
        for number in range(total):
            due_ns[number] = began + int(number * 1e9 / rate)
            if (wait := (due_ns[number] - time.monotonic_ns()) / 1e9) > 0:
                await asyncio.sleep(wait)
            queue.put_nowait(number)
        for _ in range(workers):
            queue.put_nowait(-1)
    return result


def poster(pipe: Connection, *arguments: Any) -> None:
    pipe.send(asyncio.run(post_all(*arguments)))


class Watcher:
    """One SSE connection; keeps the ids in order, and when each was read."""

    def __init__(self, address: tuple[str, int], stream: str) -> None:
        self.socket = socket.create_connection(address)
        self.socket.sendall(f"GET /v1/streams/{stream}/comments/subscribe HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        self.rest = b""
        self.ids: list[str] = []
        self.read_ns: list[int] = []
        self.is_open = False

    def feed(self, data: bytes, now_ns: int) -> None:
        # Chunk frames stand between events and never within one, so blocks can be cut out without unchunking.
        *blocks, self.rest = (self.rest + data).split(b"\n\n")
        for block in blocks:
            if not self.is_open:
                self.is_open = b"event: snapshot" in block
            elif b"event: new_comment" in block:
                ids = comment_ids(block)
                self.ids += ids
                self.read_ns += [now_ns] * len(ids)


@lru_cache(maxsize=4096)
def comment_ids(block: bytes) -> tuple[str, ...]:
    """All viewers read the same bytes: parsed once, the watcher is not the bottleneck."""
    return tuple(comment["comment_id"] for comment in json.loads(block.split(b"data: ", 1)[1]))


def watcher(pipe: Connection, address: tuple[str, int], stream: str, count: int) -> None:
    """Watches with ``count`` viewers until told how many comments there are; sends back what each saw."""
    watchers = {}
    epoll = select.epoll()
    for _ in range(count):
        one = Watcher(address, stream)
        watchers[one.socket.fileno()] = one
        epoll.register(one.socket, select.EPOLLIN)
    expected: int | None = None
    deadline = time.monotonic() + 600
    told = False
    while time.monotonic() < deadline:
        for fd, _ in epoll.poll(0.05):
            data = watchers[fd].socket.recv(1 << 20)
            if not data:
                raise SystemExit("a viewer was cut off")
            watchers[fd].feed(data, time.monotonic_ns())
        if not told and all(one.is_open for one in watchers.values()):
            pipe.send("open")
            told = True
        if expected is None and pipe.poll():
            expected = pipe.recv()
            deadline = time.monotonic() + 20
        if expected is not None and all(len(one.ids) >= expected for one in watchers.values()):
            break
    pipe.send([(one.ids, one.read_ns) for one in watchers.values()])


class LocalSystem:
    """``livecomments up`` on free ports, with the limits for users and addresses lifted."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = ("127.0.0.1", int(probe.getsockname()[1]))
        environment = {
            **os.environ,
            "LIVECOMMENTS_CORE_USER_RATE": "0",
            "LIVECOMMENTS_EDGE_ADDRESS_RATE": "0",
            "LIVECOMMENTS_EDGE_MAX_COMMENTS_PER_SECOND": "0",
        }
        command = [str(REPOSITORY / ".venv/bin/livecomments"), "up"]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.address[1]), "--data", str(self.data)],
            env=environment, stdout=subprocess.DEVNULL, cwd=REPOSITORY,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the system did not start")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            return bool(self.get("/readyz") and (self.data / "instance.json").exists())
        except OSError:
            return False

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.address[1]}{path}", timeout=10) as answer:
            return bytes(answer.read())

    def token(self, user: str) -> str:
        command = [str(REPOSITORY / ".venv/bin/livecomments"), "token", "--user", user, "--data", str(self.data)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def pids(self) -> dict[str, int]:
        pids: dict[str, int] = json.loads((self.data / "instance.json").read_text())["pids"]
        return pids

    def replay_ids(self, stream: str) -> list[str]:
        ids: list[str] = []
        token = ""
        while True:
            query = f"start_time=0&duration=3600&limit=1000{'&pagination_token=' + token if token else ''}"
            page = json.loads(self.get(f"/v1/streams/{stream}/comments?{query}"))
            ids += [comment["comment_id"] for comment in page["comments"]]
            token = page.get("next_pagination_token", "")
            if not token:
                return ids

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def run(system: LocalSystem, tokens: list[str], rate: float, seconds: float, viewers: int) -> dict[str, object]:
    """One round; every figure in ms unless its name says otherwise."""
    stream = "demo"
    context = multiprocessing.get_context("spawn")
    watch_here, watch_there = context.Pipe()
    post_here, post_there = context.Pipe()
    before_ids = len(system.replay_ids(stream))
    watching = context.Process(target=watcher, args=(watch_there, system.address, stream, viewers))
    watching.start()
    assert watch_here.recv() == "open"
    before = {name: cpu_seconds([pid]) for name, pid in system.pids().items()}
    posting = context.Process(target=poster, args=(post_there, system.address, stream, tokens, rate, seconds))
    posting.start()
    posted: Posted = post_here.recv()
    watch_here.send(len(posted.accepted))
    seen: list[tuple[list[str], list[int]]] = watch_here.recv()
    used = {name: round(cpu_seconds([pid]) - before[name], 2) for name, pid in system.pids().items()}
    for process in (posting, watching):
        process.join(10)
    screen = [
        (read - posted.accepted[comment_id]) / 1e6
        for ids, read_ns in seen
        for comment_id, read in zip(ids, read_ns, strict=True)
        if comment_id in posted.accepted
    ]
    order = seen[0][0]
    deadline = time.monotonic() + 20
    while len(stored := system.replay_ids(stream)[before_ids:]) < len(order) and time.monotonic() < deadline:
        time.sleep(0.1)
    return {
        "rate": rate,
        "accepted": len(posted.accepted),
        "refused": posted.refused,
        "answer p50": round(percentile(posted.answer_ms, 0.5), 1),
        "answer p99": round(percentile(posted.answer_ms, 0.99), 1),
        "screen p50": round(percentile(screen, 0.5), 1),
        "screen p99": round(percentile(screen, 0.99), 1),
        "each once": all(len(ids) == len(set(ids)) and posted.accepted.keys() <= set(ids) for ids, _ in seen),
        "one order": all(ids == order for ids, _ in seen),
        "replay same": stored == order,
        "cpu s": used,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500, help="comments/s")
    parser.add_argument("--ramp", default="", help="several rates, separated by commas")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--users", type=int, default=20)
    options = parser.parse_args()
    rates = [float(rate) for rate in options.ramp.split(",")] if options.ramp else [options.rate]
    with tempfile.TemporaryDirectory() as folder:
        system = LocalSystem(Path(folder))
        try:
            tokens = [system.token(f"user-{number}") for number in range(options.users)]
            for rate in rates:
                result = run(system, tokens, rate, options.seconds, options.viewers)
                print("  ".join(f"{name}: {value}" for name, value in result.items()), flush=True)
        finally:
            system.stop()


if __name__ == "__main__":
    main()
