"""Two storages on one shard: one writes, the other stands by, and nothing is lost or doubled whoever goes."""

import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from nats.aio.client import Client

from livecomments.settings import Settings
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub
from tests.processes import NatsServer, Service
from tests.storage.broadcast import Broadcast, on_air, until

pytestmark = pytest.mark.anyio

ACTIVE = 'livecomments_storage_writer_active{shard="0"}'


@dataclass
class Pair:
    """Two storages, and one broadcast read from either."""

    storages: tuple[Service, Service]
    broadcast: Broadcast
    stubs: tuple[HistoryServiceStub, HistoryServiceStub]

    def writes(self, number: int) -> bool:
        return self.storages[number].metric(ACTIVE) == 1

    async def writer(self, *among: int) -> int:
        """The one of these that writes, once exactly one does."""
        found: list[int] = []

        async def one() -> bool:
            found[:] = [number for number in among if self.writes(number)]
            return len(found) == 1

        await until(one, "one storage writes")
        return found[0]

    def read_from(self, number: int) -> Broadcast:
        self.broadcast.stub = self.stubs[number]
        return self.broadcast


@pytest.fixture
def storages(nats_server: NatsServer, data_dir: Path) -> Iterator[tuple[Service, Service]]:
    with (
        Service("storage", data_dir, "-a", nats_url=nats_server.url) as first,
        Service("storage", data_dir, "-b", nats_url=nats_server.url) as second,
    ):
        yield first, second


@pytest.fixture
async def pair(client: Client, settings: Settings, storages: tuple[Service, Service]) -> AsyncIterator[Pair]:
    first, second = storages
    async with (
        on_air(client, settings, first.address) as broadcast,
        grpc.aio.insecure_channel(second.address) as channel,
    ):
        yield Pair(storages, broadcast, (broadcast.stub, HistoryServiceStub(channel)))


async def test_one_of_two_writes_and_the_other_takes_over_when_that_is_killed_or_frozen(pair: Pair) -> None:
    comments = pair.broadcast.comments(*range(80))
    seq = await pair.broadcast.post_each(comments[:20])
    first = await pair.writer(0, 1)
    second = 1 - first
    for number in (first, second):
        await pair.read_from(number).written(seq)
        assert await pair.broadcast.replay() == comments[:20]

    pair.storages[first].kill()
    seq = await pair.broadcast.post_each(comments[20:40])
    await pair.read_from(second).written(seq)
    assert await pair.broadcast.replay() == comments[:40]
    pair.storages[first].start()

    # At rest, so that it does not hold the lock of SQLite's file.
    pair.storages[second].signal(signal.SIGSTOP)
    seq = await pair.broadcast.post_each(comments[40:60])
    # It is asked for 5 s before it counts as frozen.
    await pair.read_from(first).written(seq, 60)
    assert await pair.broadcast.replay() == comments[:60]

    pair.storages[second].signal(signal.SIGCONT)
    seq = await pair.broadcast.post_each(comments[60:])
    for number in (first, second):
        await pair.read_from(number).written(seq)
        assert await pair.broadcast.replay() == comments
        assert await pair.broadcast.through() == await pair.read_from(first).through()
    await pair.writer(0, 1)


async def test_a_storage_that_is_told_to_stop_hands_its_shard_over(pair: Pair) -> None:
    first = await pair.writer(0, 1)
    comments = pair.broadcast.comments(*range(40))
    await pair.broadcast.post_each(comments[:20])
    assert pair.storages[first].stop() == 0
    seq = await pair.broadcast.post_each(comments[20:])
    await pair.read_from(1 - first).written(seq)
    assert await pair.broadcast.replay() == comments
