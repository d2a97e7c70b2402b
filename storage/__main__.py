"""The storage service: ``python -m storage``."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import grpc

from livecomments.log import connect, open_log
from livecomments.registry import StreamDirectory, open_directory
from livecomments.serving import run
from storage.databases import open_store
from storage.dead_letters import DeadLetters
from storage.service import HistoryService
from storage.settings import StorageSettings
from storage.watch import Keep, LogWatch
from storage.writer import Writer

WRITER_HEALTH = "livecomments.storage.Writer"
"""Under which grpc.health.v1 tells of the writers: NOT_SERVING while the database takes nothing. Reads are apart."""


@dataclass(frozen=True)
class Storage:
    """What a storage process serves."""

    history: HistoryService
    writers: Sequence[Writer]

    @property
    def names(self) -> Sequence[str]:
        return self.history.names

    def mount(self, server: grpc.aio.Server) -> None:
        self.history.mount(server)

    def drain(self) -> None:
        self.history.drain()

    def parts(self) -> Mapping[str, bool]:
        return {WRITER_HEALTH: not any(writer.is_stalled for writer in self.writers)}


@asynccontextmanager
async def open_service(settings: StorageSettings) -> AsyncIterator[Storage]:
    """HistoryService and the writers behind it; when the context closes they have stopped and the database is shut."""
    directory: StreamDirectory | None = None

    async def reconnected() -> None:
        if directory is not None:
            directory.catch_up()

    async with open_store(settings) as store, connect(settings, "storage", reconnected) as client:
        js = client.jetstream()
        log = await open_log(js, settings)
        dead_letters = DeadLetters(client, settings.log_replicas, settings.data_dir / "dead-letters")
        keep = Keep(timedelta(hours=settings.log_hours), timedelta(minutes=settings.log_full_keeps_minutes))
        watch = LogWatch(js, store, len(log.shards), keep)
        writers = [Writer(client, store, dead_letters, shard, lag) for shard, lag in watch.lags.items()]
        async with open_directory(client, settings) as directory, asyncio.TaskGroup() as tasks:
            runs = (dead_letters.run(), watch.run(), *(writer.run() for writer in writers))
            working = [tasks.create_task(run) for run in runs]
            try:
                yield Storage(HistoryService(store, directory, log, settings.page_tokens(), tasks), writers)
            finally:
                for task in working:
                    task.cancel()


if __name__ == "__main__":
    run("storage", StorageSettings, open_service)
