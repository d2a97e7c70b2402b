"""The streams, as every service knows them: a mirror of core's key-value bucket.

Core alone writes it; the others read. The log stays the authority: an end or a pin is first an event there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.js.errors import KeyNotFoundError

from livecomments.errors import Reason, Refusal
from livecomments.mirror import Mirror, mirror
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import Stream

BUCKET = "streams"
_READ_S = 2.0


class Registry:
    """All streams in memory, by id."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[Stream, int]] = {}

    def get(self, stream_id: str) -> Stream | None:
        found = self._streams.get(stream_id)
        return found[0] if found else None

    def revision(self, stream_id: str) -> int:
        """The bucket's revision of a stream's entry, for conditional updates; 0 when there is none."""
        found = self._streams.get(stream_id)
        return found[1] if found else 0

    def all(self) -> Iterable[Stream]:
        return [stream for stream, _ in self._streams.values()]

    def apply(self, key: str, value: bytes | None, revision: int) -> None:
        if value is None:
            self._streams.pop(key, None)
            return
        known = self._streams.get(key)
        if known is None or revision > known[1]:
            self._streams[key] = (Stream.FromString(value), revision)


class StreamDirectory:
    """Looks a stream up: from memory, on a miss once from the bucket itself, so that 404 is never a mirror's lag."""

    def __init__(self, client: Client, registry: Registry, view: Mirror) -> None:
        self._client = client
        self._mirror = view
        self.registry = registry

    def catch_up(self) -> None:
        """Call it after a reconnect."""
        self._mirror.ask()

    async def find(self, stream_id: str) -> Stream:
        """The stream; raises Refusal(STREAM_NOT_FOUND), or OVERLOADED when the bucket can't be asked."""
        known = self.registry.get(stream_id)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(_READ_S):
                bucket = await self._client.jetstream().key_value(BUCKET)
                entry = await bucket.get(stream_id)
        except KeyNotFoundError:
            raise Refusal(Reason.STREAM_NOT_FOUND, "there is no such stream") from None
        except Exception as error:
            raise Refusal(Reason.OVERLOADED, "the stream could not be looked up", retry_after_ms=1_000) from error
        if entry.value is None or entry.revision is None:
            raise Refusal(Reason.STREAM_NOT_FOUND, "there is no such stream")
        self.registry.apply(stream_id, entry.value, entry.revision)
        return Stream.FromString(entry.value)


@asynccontextmanager
async def open_directory(client: Client, settings: Settings) -> AsyncIterator[StreamDirectory]:
    """The streams, mirrored for as long as the context is open."""
    registry = Registry()
    async with mirror(client, BUCKET, settings.log_replicas, registry.apply) as view:
        yield StreamDirectory(client, registry, view)
