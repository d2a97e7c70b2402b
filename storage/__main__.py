"""The storage service: ``python -m storage``."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from livecomments.log import connect, open_log
from livecomments.registry import StreamDirectory, open_directory
from livecomments.serving import run
from storage.databases import open_store
from storage.dead_letters import DeadLetters
from storage.service import HistoryService
from storage.settings import StorageSettings
from storage.trim import keep_trimming
from storage.writer import Writer


@asynccontextmanager
async def open_service(settings: StorageSettings) -> AsyncIterator[HistoryService]:
    """HistoryService and the writers behind it; when the context closes they have stopped and the database is shut."""
    directory: StreamDirectory | None = None

    async def reconnected() -> None:
        if directory is not None:
            directory.catch_up()

    async with open_store(settings) as store, connect(settings, "storage", reconnected) as client:
        js = client.jetstream()
        log = await open_log(js, settings)
        dead_letters = DeadLetters(js, settings.log_replicas)
        await dead_letters.open()
        async with open_directory(client, settings) as directory, asyncio.TaskGroup() as tasks:
            writing = [
                tasks.create_task(Writer(client, store, dead_letters, shard.number).run()) for shard in log.shards
            ]
            trimming = tasks.create_task(keep_trimming(js, store, len(log.shards), timedelta(hours=settings.log_hours)))
            try:
                yield HistoryService(store, directory, log, settings.page_tokens(), tasks)
            finally:
                for task in (*writing, trimming):
                    task.cancel()


if __name__ == "__main__":
    run("storage", StorageSettings, open_service)
