"""How fast storage's writer carries the log into the database, and what that costs.

    scripts/bench/writer --comments 400000 --batch 120
    LIVECOMMENTS_STORAGE_URL=cql://127.0.0.1/bench scripts/bench/writer

First the log is filled, then storage is started: catching up. Then comments come at a rate while it runs: keeping up.
They stand in batches as core commits them, written straight to nats-server (fsync on). The database is a new SQLite
file (synchronous=FULL) on this disk, or what LIVECOMMENTS_STORAGE_URL says. Nothing is pinned: storage, nats-server
and, while keeping up, this process share all cores.
"""

import asyncio
import http.client
import sys
import tempfile
import time
import uuid
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import machine
import nats
import rounds
import uuid_utils
from children import Child, ports
from comments import author, text
from native import HERE
from nats.js import JetStreamContext

from livecomments.local import make_secrets, nats_server_binary, nats_url, write_nats_config
from livecomments.log import Shard, open_log
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import Comment, CommentPosted, Event, EventBatch

_TEXT_SIZE = 82
_IN_FLIGHT = 32
_LOOK_S = 0.1
_GIVE_UP_S = 120.0


@dataclass(frozen=True)
class Spent:
    """What was used up to a moment."""

    at_s: float
    loop_s: float
    """CPU of storage's first thread: its event loop."""
    threads_s: float
    """CPU of its other threads: SQLite's, or the driver's."""
    nats_s: float
    disk: int
    """Bytes that storage had the disk write."""


class Parts:
    """nats-server with an empty log, and storage when it is started; for as long as the context is open."""

    def __init__(self, profile: Path | None) -> None:
        self._profile = profile
        self._all_cores = ",".join(map(str, sorted(set(machine.cores()))))
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self.folder = Path(opening.enter_context(tempfile.TemporaryDirectory()))
            make_secrets(self.folder)
            command = [str(nats_server_binary()), "-c", str(write_nats_config(self.folder))]
            self._nats = opening.enter_context(Child("nats-server", command, self._all_cores, self.folder))
            self.nats_url = self._nats.until(lambda: nats_url(self.folder), "has said where it listens")
            self.settings = Settings(nats_url=(self.nats_url,), data_dir=self.folder)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def start_storage(self) -> None:
        """Returns once it serves; its writer is at work by then."""
        file = self.folder / "storage.ports"
        settings = {"DATA_DIR": self.folder, "PORTS_FILE": file, "NATS_URL": self.nats_url, "LOG_LEVEL": "warning"}
        environment = {f"LIVECOMMENTS_{key}": str(value) for key, value in settings.items()}
        program = [str(HERE / "profiled.py"), str(self._profile)] if self._profile else ["-m"]
        command = [sys.executable, *program, "storage"]
        self._storage = self._open.enter_context(Child("storage", command, self._all_cores, self.folder, environment))
        addresses = self._storage.until(lambda: ports(file), "has said where it listens")
        self._metrics = addresses["metrics"]

    def metric(self, name: str) -> float:
        connection = http.client.HTTPConnection(self._metrics, timeout=10)
        try:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        finally:
            connection.close()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{")))

    def rows(self) -> int:
        return int(self.metric("livecomments_storage_rows_written_total"))

    def spent(self) -> Spent:
        storage = self._storage.pid
        # Less the first one's from all, also of those that ended: the driver's threads come and go.
        loop_s = int(Path(f"/proc/{storage}/schedstat").read_text().split()[0]) / 1e9
        threads_s = machine.cpu_seconds([storage]) - loop_s
        io = dict(line.split(": ") for line in Path(f"/proc/{storage}/io").read_text().splitlines())
        nats_s = machine.cpu_seconds([self._nats.pid])
        return Spent(time.monotonic(), loop_s, threads_s, nats_s, int(io["write_bytes"]))


def figures(before: Spent, after: Spent, comments: int) -> dict[str, float]:
    """What a number of comments took."""
    seconds = after.at_s - before.at_s
    loop_s, threads_s = after.loop_s - before.loop_s, after.threads_s - before.threads_s
    return {
        "comments/s": comments / seconds,
        "loop CPU µs": loop_s / comments * 1e6,
        "threads CPU µs": threads_s / comments * 1e6,
        "nats-server CPU µs": (after.nats_s - before.nats_s) / comments * 1e6,
        "storage of one core": (loop_s + threads_s) / seconds,
        "disk bytes": (after.disk - before.disk) / comments,
    }


class Filling:
    """Writes comments to the log in batches, many in flight."""

    def __init__(self, js: JetStreamContext, shard: Shard, batch: int) -> None:
        self._js = js
        self._subject = shard.subject(f"bench-{uuid.uuid4().hex[:12]}")
        self._batch = batch
        self._started_at_ms = time.time_ns() // 1_000_000
        self._first = 1

    def encoded(self, comments: int) -> Iterator[tuple[bytes, int]]:
        """The next so many comments: messages, and how many comments each holds."""
        end = self._first + comments
        while self._first < end:
            count = min(self._batch, end - self._first)
            batch = EventBatch(events=[self._posted(self._first + index) for index in range(count)])
            self._first += count
            yield batch.SerializeToString(), count

    async def write(self, messages: AsyncIterator[tuple[bytes, int]]) -> None:
        """Returns when JetStream has them all."""
        free = asyncio.Semaphore(_IN_FLIGHT)

        async def publish(data: bytes) -> None:
            try:
                await self._js.publish(self._subject, data, 30)
            finally:
                free.release()

        async with asyncio.TaskGroup() as tasks:
            async for data, _ in messages:
                await free.acquire()
                tasks.create_task(publish(data))

    def _posted(self, number: int) -> Event:
        comment_id = uuid_utils.uuid7()
        who = author((number, 0))
        comment = Comment(
            comment_id=str(comment_id),
            stream_id=self._subject.rsplit(".", 1)[1],
            author_id=who,
            author_name=who,
            text=text((number, time.monotonic_ns()), _TEXT_SIZE),
            posted_at_ms=comment_id.timestamp,
            offset_ms=comment_id.timestamp - self._started_at_ms,
        )
        return Event(posted=CommentPosted(comment=comment))


async def _catch_up(parts: Parts, options: Namespace) -> dict[str, float]:
    client = await nats.connect(parts.nats_url)
    js = client.jetstream()
    filling = Filling(js, (await open_log(js, parts.settings)).shards[0], options.batch)

    async def all_at_once() -> AsyncIterator[tuple[bytes, int]]:
        for message in filling.encoded(options.comments):
            yield message

    await filling.write(all_at_once())
    await client.close()
    parts.start_storage()
    # From the first rows on: how long a process takes to start is not the question.
    began_with = await _until(parts.rows, "the first rows")
    before = parts.spent()
    await _until(lambda: parts.rows() >= options.comments, "all rows")
    return figures(before, parts.spent(), options.comments - began_with)


async def _keep_up(parts: Parts, options: Namespace) -> dict[str, float]:
    client = await nats.connect(parts.nats_url)
    js = client.jetstream()
    filling = Filling(js, (await open_log(js, parts.settings)).shards[0], options.batch)
    total = int(options.rate * options.seconds)
    ready = list(filling.encoded(total))
    expected = parts.rows() + total
    lags: list[tuple[float, float]] = []
    before = parts.spent()

    async def on_schedule() -> AsyncIterator[tuple[bytes, int]]:
        due_s = time.monotonic()
        for data, count in ready:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            yield data, count
            due_s += count / options.rate

    async def look() -> None:
        names = ("livecomments_storage_writer_lag_messages", "livecomments_storage_writer_lag_seconds")
        while True:
            messages, seconds = [await asyncio.to_thread(parts.metric, name) for name in names]
            lags.append((messages, seconds))
            await asyncio.sleep(_LOOK_S)

    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(look())
        await filling.write(on_schedule())
        looking.cancel()
    await _until(lambda: parts.rows() >= expected, "all rows")
    found = figures(before, parts.spent(), total)
    await client.close()
    most_messages, most_s = (max(column) for column in zip(*lags, strict=True))
    return {**found, "most behind, comments": most_messages * options.batch, "most behind, ms": most_s * 1000}


async def _until(find: Callable[[], int], what: str) -> int:
    deadline = time.monotonic() + _GIVE_UP_S
    while not (found := await asyncio.to_thread(find)):
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {_GIVE_UP_S:.0f} s: {what}")
        await asyncio.sleep(_LOOK_S)
    return found


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    with Parts(options.profile) as parts:
        yield "catching up", asyncio.run(_catch_up(parts, options))
        yield f"at {options.rate:,}/s", asyncio.run(_keep_up(parts, options))


def main() -> None:
    """The command."""
    parser = rounds.arguments(__doc__, comments=400_000, batch=120, rate=30_000, seconds=10.0)
    options = parser.parse_args()
    title = f"{options.comments:,} comments in batches of {options.batch}; CPU and bytes are for one comment"
    rounds.run(options.rounds, title, lambda: measure(options))


if __name__ == "__main__":
    main()
