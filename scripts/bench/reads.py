"""How long a seek in a replay takes in a stream of a million comments, and how fast the store takes these.

    scripts/bench/reads
    scripts/bench/reads --comments 100000 --reads 500 --stores cql
    scripts/bench/reads --keep /tmp/filled --rounds 3

For each database: one stream is written through Store.apply, in batches as the writer carries them when it catches up.
Then windows at random moments of all of it are read, straight through Store.window and from another process through
ListComments. A window is what a player asks for: 60 s, at most 200 comments.

cold      the first seeks after the database was started, with none of its files in memory (--cold of them)
1, 4, 16  so many readers seek without a pause, when all has warmed up (--warm seeks, not counted)
rare      one seek every 1.1 s, so that nothing is known of the stream (--rare of them: p99 is the slowest)

SQLite (synchronous=FULL) lies in a temporary folder. For CQL an Apache Cassandra (commitlog_sync: batch) is started
there, which needs Java and the jars that scripts/test fetches; or LIVECOMMENTS_STORAGE_URL names a keyspace. Storage
and that server have the first core, all else the last one. With --keep what was filled stays in a folder for another
time.
"""

import asyncio
import os
import random
import time
import uuid
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import machine
import report
import rounds
from comments import author, text
from house import House
from percentiles import percentile
from read_goals import READS
from rounds import Figures

from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.log import connect
from livecomments.mirror import open_bucket
from livecomments.registry import BUCKET
from livecomments.v1.comment_pb2 import STREAM_STATE_LIVE, STREAM_VISIBILITY_PUBLIC, Comment, Stream
from livecomments.v1.history_service_pb2 import ListCommentsRequest
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub
from storage.databases import open_store
from storage.settings import StorageSettings
from storage.store import Batch, Place, Store, StoredComment
from tests.cql.server import CqlServer

_WINDOW_MS = 60_000
_PAGE = 200
_TEXT_SIZE = 82
_MESSAGE_COMMENTS = 100
_BATCH_MESSAGES = 50
_PAUSE_S = 1.1
"""Longer than a store knows anything (storage/cql/views.py)."""
_READERS = (1, 4, 16)
_EPOCH = "bench"
_STOP_S = 60.0
_JVM = ("-XX:TieredStopAtLevel=4", "-Xms1g", "-Xmx1g", "-Xmn400m")
"""As an operator has it: the tests' server compiles little and has little memory, to be there soon."""

Read = Callable[[], Awaitable[int]]
"""One seek; returns how many comments it brought."""


@dataclass(frozen=True)
class Broadcast:
    """The stream that is read."""

    stream_id: str
    started_at_ms: int
    seconds: int
    comments: int

    def batches(self) -> Iterator[Batch]:
        """All of it, evenly spread over its time."""
        size = _MESSAGE_COMMENTS * _BATCH_MESSAGES
        for first in range(0, self.comments, size):
            rows = tuple(self._row(number) for number in range(first, min(first + size, self.comments)))
            after_seq, through_seq = first // _MESSAGE_COMMENTS, rows[-1].place.seq
            yield Batch(0, _EPOCH, after_seq, through_seq, rows)

    def _row(self, number: int) -> StoredComment:
        offset_ms = number * self.seconds * 1_000 // self.comments
        message, index = divmod(number, _MESSAGE_COMMENTS)
        who = author((number, 0))
        posted_at_ms = self.started_at_ms + offset_ms
        comment = Comment(
            comment_id=str(uuid.UUID(int=posted_at_ms << 80 | 7 << 76 | 2 << 62 | number)),
            stream_id=self.stream_id,
            author_id=who,
            author_name=who,
            text=text((number, time.monotonic_ns()), _TEXT_SIZE),
            posted_at_ms=posted_at_ms,
            offset_ms=offset_ms,
            lag_ms=1_500,
        )
        return StoredComment(Place(offset_ms, message + 1, index), comment)

    def moment(self) -> int:
        """A random one, ms from the start."""
        return random.randrange(self.seconds * 1_000 - _WINDOW_MS)


async def fill(store: Store, broadcast: Broadcast) -> float:
    """Comments a second that the store takes."""
    taken_s = 0.0
    await store.adopt(0, _EPOCH)
    for batch in broadcast.batches():
        began = time.perf_counter()
        await store.apply(batch)
        taken_s += time.perf_counter() - began
    return broadcast.comments / taken_s


async def timed(count: int, read: Read, readers: int = 1, pause_s: float = 0.0) -> Figures:
    """How long reads take, ms, by so many readers one after the other, and how many comments they bring on average."""
    taken_ms, brought, left = [], 0, count

    async def reader() -> None:
        nonlocal brought, left
        while left > 0:
            left -= 1
            await asyncio.sleep(pause_s)
            began = time.perf_counter()
            comments = await read()
            taken_ms.append((time.perf_counter() - began) * 1_000)
            brought += comments

    async with asyncio.TaskGroup() as tasks:
        for _ in range(readers):
            tasks.create_task(reader())
    taken_ms.sort()
    return {
        "p50 ms": percentile(taken_ms, 0.5),
        "p99 ms": percentile(taken_ms, 0.99),
        "slowest ms": taken_ms[-1],
        "comments": brought / len(taken_ms),
    }


async def by_readers(options: Namespace, read: Read) -> dict[str, Figures]:
    """A row for each number of readers, when all has warmed up."""
    await timed(options.warm, read)
    found = {}
    for readers in _READERS:
        many = "1 reader" if readers == 1 else f"{readers} readers"
        found[many] = await timed(options.reads, read, readers)
    return found


async def in_process(settings: StorageSettings, options: Namespace, broadcast: Broadcast) -> dict[str, Figures]:
    """Reads straight from the store."""
    async with open_store(settings) as store:

        async def read() -> int:
            start = broadcast.moment()
            page = await store.window(0, broadcast.stream_id, Place(start, 0, 0), start + _WINDOW_MS, _PAGE)
            return len(page.comments)

        cold = await timed(options.cold, read)
        warm = await by_readers(options, read)
        rare = await timed(options.rare, read, pause_s=_PAUSE_S)
    rows = {"cold": cold, **warm, "rare": rare}
    return {f"Store.window, {name}": figures for name, figures in rows.items()}


async def over_grpc(house: House, address: str, options: Namespace, broadcast: Broadcast) -> dict[str, Figures]:
    """Reads through HistoryService."""
    settings = house.settings()
    stream = Stream(
        stream_id=broadcast.stream_id,
        host_id="bench",
        state=STREAM_STATE_LIVE,
        visibility=STREAM_VISIBILITY_PUBLIC,
        started_at_ms=broadcast.started_at_ms,
    )
    async with connect(settings, "bench") as client:
        await (await open_bucket(client, BUCKET, 1)).put(stream.stream_id, stream.SerializeToString())
    async with grpc.aio.insecure_channel(address) as channel:
        stub = HistoryServiceStub(channel)
        metadata = ((SERVICE_TOKEN_KEY, settings.service_token()),)

        async def read() -> int:
            start = broadcast.moment()
            request = ListCommentsRequest(
                stream_id=stream.stream_id, start_offset_ms=start, duration_ms=_WINDOW_MS, page_size=_PAGE
            )
            return len((await stub.ListComments(request, metadata=metadata, timeout=10)).comments)

        return {f"ListComments, {name}": figures for name, figures in (await by_readers(options, read)).items()}


def start_cql(opening: ExitStack, folder: Path) -> CqlServer:
    """A server on the measured core, beside storage."""
    first, last = machine.cores()
    os.sched_setaffinity(0, {first})
    try:
        return opening.enter_context(CqlServer(folder, jvm=_JVM))
    finally:
        os.sched_setaffinity(0, {last})


def forget(folder: Path) -> None:
    """Takes the files of a database out of the machine's memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    for name in options.stores.split(","):
        with ExitStack() as opening:
            yield from measure_store(name, opening, options)


def measure_store(name: str, opening: ExitStack, options: Namespace) -> rounds.Round:
    """One round of one database."""
    given = os.environ.get("LIVECOMMENTS_STORAGE_URL") if name == "cql" else None
    size = f"{options.comments}-in-{options.seconds}s"
    above = options.keep or Path(opening.enter_context(TemporaryDirectory()))
    folder = above / f"{name}-{size}"
    folder.mkdir(parents=True, exist_ok=True)
    filled = folder / "filled"
    stream_id = f"bench-{uuid.uuid4().hex[:12]}" if given else "bench"
    broadcast = Broadcast(stream_id, 1_800_000_000_000, options.seconds, options.comments)
    server = None if given or name != "cql" else start_cql(opening, folder)
    url = given or (f"sqlite:///{folder}/comments.db" if server is None else f"cql://127.0.0.1:{server.port}/bench")
    settings = StorageSettings(storage_url=url, cql_migrate=True)
    if given or not filled.exists():
        yield f"{name}: Store.apply", {"comments/s": asyncio.run(_filled(settings, broadcast))}
        filled.touch()
    if server is not None:
        server.stop(_STOP_S)
    forget(folder)
    if server is not None:
        server.start()
    for row, figures in asyncio.run(in_process(settings, options, broadcast)).items():
        yield f"{name}: {row}", figures
    house = opening.enter_context(House("storage", {"STORAGE_URL": url, "LOG_LEVEL": "error"}, options.profile))
    _, addresses = house.start("storage")
    for row, figures in asyncio.run(over_grpc(house, addresses["listen"], options, broadcast)).items():
        yield f"{name}: {row}", figures


async def _filled(settings: StorageSettings, broadcast: Broadcast) -> float:
    async with open_store(settings) as store:
        return await fill(store, broadcast)


def main() -> None:
    """The command."""
    parser = rounds.arguments(__doc__, comments=1_000_000, seconds=7_200, reads=2_000, cold=300, warm=3_000, rare=60)
    parser.set_defaults(rounds=1)
    parser.add_argument("--stores", default="sqlite,cql", help="which, separated by commas (sqlite,cql)")
    parser.add_argument("--keep", type=Path, help="folder in which filled databases are looked for, and left")
    parser.add_argument("--into", type=Path, help="folder for the results as files")
    options = parser.parse_args()
    measured = rounds.collect(options.rounds, lambda: measure(options))
    if options.into:
        print("Written:", *report.write(READS, measured, options.into))
    print("\n".join(rounds.table(measured.figures)))
    if measured.was_busy:
        print(f"\n{rounds.busy_line(measured)}")


if __name__ == "__main__":
    main()
