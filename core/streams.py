"""The registry of streams, as its only writer sees it: a key-value bucket, written under compare-and-set."""

import asyncio

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from livecomments.mirror import open_bucket
from livecomments.registry import BUCKET, Registry
from livecomments.v1.comment_pb2 import Stream

_CALL_S = 2.0


class Conflict(Exception):
    """The entry is not the one that was to be replaced."""


class RegistryUnavailable(Exception):
    """The bucket did not answer in time; a write may have been carried out."""


class StreamStore:
    """Writes streams, and tells the mirror of this process at once, so that it reads its own writes."""

    def __init__(self, bucket: KeyValue, registry: Registry) -> None:
        self._bucket = bucket
        self._registry = registry

    async def create(self, stream: Stream) -> int:
        """Stores a new stream and returns its revision; raises Conflict when the id is taken, RegistryUnavailable."""
        return await self._write(stream, 0)

    async def replace(self, stream: Stream, revision: int) -> int:
        """Replaces the entry of this revision and returns the new one; raises Conflict, RegistryUnavailable."""
        return await self._write(stream, revision)

    async def read(self, stream_id: str) -> tuple[Stream, int] | None:
        """The stream and its revision, from the bucket itself; raises RegistryUnavailable."""
        try:
            async with asyncio.timeout(_CALL_S):
                entry = await self._bucket.get(stream_id)
        except KeyNotFoundError:
            return None
        except (NatsError, TimeoutError, OSError) as error:
            raise RegistryUnavailable(repr(error)) from error
        if entry.value is None or entry.revision is None:
            return None
        return Stream.FromString(entry.value), entry.revision

    async def _write(self, stream: Stream, last: int) -> int:
        value = stream.SerializeToString()
        try:
            async with asyncio.timeout(_CALL_S):
                revision = await self._bucket.update(stream.stream_id, value, last)
        except KeyWrongLastSequenceError as error:
            raise Conflict from error
        except (NatsError, TimeoutError, OSError) as error:
            raise RegistryUnavailable(repr(error)) from error
        self._registry.apply(stream.stream_id, value, revision)
        return revision


async def open_store(client: Client, replicas: int, registry: Registry) -> StreamStore:
    """The store; ``registry`` is the mirror that reads the same bucket."""
    return StreamStore(await open_bucket(client, BUCKET, replicas), registry)
