"""What was written and not acknowledged comes again, also after it was deleted; and a disk that hangs is let go."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from nats.aio.client import Client

from livecomments.log import open_log
from livecomments.settings import Settings
from storage import writer as writer_module
from storage.dead_letters import DeadLetters
from storage.lag import Lag
from storage.pull import CONSUMER
from storage.sqlite import SqliteStore, open_sqlite
from storage.store import FIRST, LAST, Batch
from storage.writer import Writer
from tests.processes import NatsServer, Service, eventually
from tests.storage.broadcast import comment_at, on_air, posted, until

pytestmark = pytest.mark.anyio


class DeafToAcks:
    """Stands between one storage and nats-server, and passes nothing on from the first acknowledgement on."""

    def __init__(self, nats: str) -> None:
        host, _, port = nats.removeprefix("nats://").partition(":")
        self._nats = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self._listener.getsockname()[1]}"
        self.acknowledged = threading.Event()
        """The storage has sent an acknowledgement; nats-server will never see it."""
        self._threads = [threading.Thread(target=self._serve)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _serve(self) -> None:
        try:
            storage, _ = self._listener.accept()
        except OSError:
            return
        server = socket.create_connection(self._nats)
        self._threads.append(threading.Thread(target=self._pass_on, args=(server, storage)))
        self._threads[-1].start()
        with storage, server:
            while not self.acknowledged.is_set() and (data := _received(storage)):
                before, found, _ = data.partition(b"PUB $JS.ACK.")
                server.sendall(before)
                if found:
                    self.acknowledged.set()
            while _received(storage):
                pass  # until it is killed
            server.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, server: socket.socket, storage: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                storage.sendall(data)
        except OSError:
            pass


def _received(sender: socket.socket) -> bytes:
    try:
        return sender.recv(65536)
    except ConnectionError:
        return b""


@contextmanager
def dies_before_its_ack(nats_server: NatsServer, data_dir: Path) -> Iterator[Service]:
    """A storage that writes what there is, and is killed before nats-server hears of it."""
    with (
        DeafToAcks(nats_server.url) as between,
        Service("storage", data_dir, "-deaf", nats_url=between.url) as storage,
    ):
        yield storage
        eventually(between.acknowledged.is_set, "the storage acknowledges what it wrote")
        storage.kill()


async def test_what_is_redelivered_after_its_deletion_stays_gone(
    client: Client, settings: Settings, nats_server: NatsServer, data_dir: Path
) -> None:
    stream = (await open_log(client.jetstream(), settings)).shards[0].name
    with dies_before_its_ack(nats_server, data_dir) as storage:
        async with on_air(client, settings, storage.address) as broadcast:
            gone, kept = broadcast.comments(1, 2)
            await broadcast.post(gone)
    with dies_before_its_ack(nats_server, data_dir):
        await broadcast.delete(gone)
    info = await client.jetstream().consumer_info(stream, CONSUMER)
    assert (info.num_ack_pending, info.ack_floor and info.ack_floor.stream_seq) == (2, 0), "nothing is acknowledged"
    # Sooner than after a minute.
    await client.jetstream().add_consumer(stream, info.config.evolve(ack_wait=0.3))
    with Service("storage", data_dir, nats_url=nats_server.url) as storage:
        async with on_air(client, settings, storage.address) as reader:
            broadcast.stub = reader.stub

            async def redelivered() -> bool:
                return bool((await client.jetstream().consumer_info(stream, CONSUMER)).num_redelivered)

            await until(redelivered, "JetStream delivers again what was not acknowledged")
            await broadcast.written(await broadcast.post(kept))
            assert await broadcast.replay() == [kept]


class Hanging:
    """A database whose disk hangs: a write never comes back, and reads go on."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.hangs = True

    async def apply(self, batch: Batch) -> int:
        if self.hangs:
            await asyncio.Event().wait()
        return await self._store.apply(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_a_write_that_never_comes_back_is_given_up_and_told_of(
    client: Client, settings: Settings, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "HOLD_S", 0.5)
    shard = (await open_log(client.jetstream(), settings)).shards[0]
    await client.jetstream().publish(shard.subject("demo"), posted(comment_at(1, "demo")).SerializeToString())
    async with open_sqlite(data_dir / "comments.db") as store, asyncio.TaskGroup() as tasks:
        database = Hanging(store)
        writer = Writer(client, database, DeadLetters(client, 1, data_dir / "letters"), 0, Lag())
        writing = tasks.create_task(writer.run())

        async def stalled() -> bool:
            return writer.is_stalled

        async def written() -> bool:
            return len((await store.window(0, "demo", FIRST, LAST.offset_ms, 10)).comments) == 1

        await until(stalled, "the writer gives the write up")
        assert not await written()
        database.hangs = False
        await until(written, "the writer tries again")
        assert not writer.is_stalled
        writing.cancel()
