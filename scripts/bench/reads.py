"""How long a seek in a replay takes in a stream of a million comments, and how fast the store takes these.

    scripts/bench/reads
    scripts/bench/reads --comments 100000 --reads 500 --stores cql

For each database: one stream is written through Store.apply, in batches as the writer carries them when it catches up.
Then windows at random moments are read, one after the other: straight through Store.window, and from another process
through ListComments. A window is what a player asks for: 60 s, at most 200 comments.

SQLite (synchronous=FULL) lies in a temporary folder. For CQL an Apache Cassandra (commitlog_sync: batch) is started
there, which needs Java and the jars that scripts/test fetches; or LIVECOMMENTS_STORAGE_URL names a keyspace. Storage
and that server have the first core, all else the last one.
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
from statistics import quantiles
from tempfile import TemporaryDirectory

import grpc
import machine
import rounds
from comments import author, text
from house import House
from rounds import Figures

from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.log import connect
from livecomments.mirror import open_bucket
from livecomments.registry import BUCKET
from livecomments.v1.comment_pb2 import STREAM_STATE_LIVE, STREAM_VISIBILITY_PUBLIC, Stream
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


@dataclass(frozen=True)
class Broadcast:
    """The stream that is read."""

    stream_id: str
    started_at_ms: int
    seconds: int
    comments: int

    def batches(self, epoch: str) -> Iterator[Batch]:
        """All of it, evenly spread over its time."""
        size = _MESSAGE_COMMENTS * _BATCH_MESSAGES
        for first in range(0, self.comments, size):
            rows = tuple(self._row(number) for number in range(first, min(first + size, self.comments)))
            after_seq, through_seq = first // _MESSAGE_COMMENTS, rows[-1].place.seq
            yield Batch(0, epoch, after_seq, through_seq, rows)

    def _row(self, number: int) -> StoredComment:
        offset_ms = number * self.seconds * 1_000 // self.comments
        message, index = divmod(number, _MESSAGE_COMMENTS)
        who = author((number, 0))
        posted_at_ms = self.started_at_ms + offset_ms
        return StoredComment(
            self.stream_id,
            Place(offset_ms, message + 1, index),
            str(uuid.UUID(int=posted_at_ms << 80 | 7 << 76 | 2 << 62 | number)),
            who,
            who,
            text((number, time.monotonic_ns()), _TEXT_SIZE),
            posted_at_ms,
            1_500,
            "",
        )

    def moment(self) -> int:
        """A random one, ms from the start."""
        return random.randrange(self.seconds * 1_000 - _WINDOW_MS)


async def fill(store: Store, broadcast: Broadcast, epoch: str) -> float:
    """Comments a second that the store takes."""
    taken_s = 0.0
    await store.adopt(0, epoch)
    for batch in broadcast.batches(epoch):
        began = time.perf_counter()
        await store.apply(batch)
        taken_s += time.perf_counter() - began
    return broadcast.comments / taken_s


async def timed(reads: int, read: Callable[[], Awaitable[int]]) -> Figures:
    """p50 and p99 of a read, ms, and how many comments it brought on average."""
    for _ in range(reads // 10):
        await read()
    taken_ms, brought = [], 0
    for _ in range(reads):
        began = time.perf_counter()
        brought += await read()
        taken_ms.append((time.perf_counter() - began) * 1_000)
    cuts = quantiles(taken_ms, n=100)
    return {"p50 ms": cuts[49], "p99 ms": cuts[98], "slowest ms": max(taken_ms), "comments": brought / reads}


async def in_process(settings: StorageSettings, options: Namespace, broadcast: Broadcast) -> tuple[Figures, Figures]:
    """What filling took, and reads straight from the store."""
    async with open_store(settings) as store:
        rate = await fill(store, broadcast, "bench")

        async def read() -> int:
            start = broadcast.moment()
            page = await store.window(0, broadcast.stream_id, Place(start, 0, 0), start + _WINDOW_MS, _PAGE)
            return len(page.comments)

        return {"comments/s": rate}, await timed(options.reads, read)


async def over_grpc(house: House, address: str, options: Namespace, broadcast: Broadcast) -> Figures:
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

        return await timed(options.reads, read)


def start_cql(opening: ExitStack, folder: Path) -> str:
    """A server on the measured core, beside storage; returns where a keyspace may be made."""
    first, last = machine.cores()
    os.sched_setaffinity(0, {first})
    try:
        server = opening.enter_context(CqlServer(folder / "cql"))
    finally:
        os.sched_setaffinity(0, {last})
    return f"cql://127.0.0.1:{server.port}/bench"


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    for name in options.stores.split(","):
        broadcast = Broadcast(f"bench-{uuid.uuid4().hex[:12]}", 1_800_000_000_000, options.seconds, options.comments)
        with ExitStack() as opening:
            folder = Path(opening.enter_context(TemporaryDirectory()))
            url = f"sqlite:///{folder}/comments.db"
            if name == "cql":
                url = os.environ.get("LIVECOMMENTS_STORAGE_URL") or start_cql(opening, folder)
            settings = StorageSettings(storage_url=url, cql_migrate=True)
            filled, read = asyncio.run(in_process(settings, options, broadcast))
            yield f"{name}: Store.apply", filled
            yield f"{name}: Store.window", read
            shared = {"STORAGE_URL": url, "LOG_LEVEL": "error"}
            house = opening.enter_context(House("storage", shared, options.profile))
            _, addresses = house.start("storage")
            yield f"{name}: ListComments", asyncio.run(over_grpc(house, addresses["listen"], options, broadcast))


def main() -> None:
    """The command."""
    parser = rounds.arguments(__doc__, comments=1_000_000, seconds=7_200, reads=2_000)
    parser.set_defaults(rounds=1)
    parser.add_argument("--stores", default="sqlite,cql", help="which, separated by commas (sqlite,cql)")
    options = parser.parse_args()
    title = f"One stream of {options.comments:,} comments in {options.seconds:,} s; {options.reads:,} reads in a row"
    rounds.run(options.rounds, title, lambda: measure(options))


if __name__ == "__main__":
    main()
