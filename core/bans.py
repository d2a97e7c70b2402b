"""Who may not post in a stream: a key-value bucket, mirrored into every core's memory."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.kv import KeyValue

from core.unavailable import not_confirmed
from livecomments.mirror import Mirror, mirror, open_bucket

BUCKET = "bans"
_WRITE_S = 2.0
_NOBODY: AbstractSet[str] = frozenset()


class BanList:
    """The banned of all streams, in memory."""

    def __init__(self) -> None:
        self._banned: dict[str, set[str]] = {}

    def of(self, stream_id: str) -> AbstractSet[str]:
        """The user ids that may not post in this stream."""
        return self._banned.get(stream_id, _NOBODY)

    def apply(self, key: str, value: bytes | None, _revision: int) -> None:
        """A change of the bucket, as the mirror tells it."""
        stream_id, _, encoded = key.partition(".")
        user_id = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        banned = self._banned.setdefault(stream_id, set())
        if value is not None:
            banned.add(user_id)
        else:
            banned.discard(user_id)
        if not banned:
            del self._banned[stream_id]


class Bans:
    """Bans users and lifts their bans. Open with ``open_bans()``."""

    def __init__(self, bucket: KeyValue, view: Mirror, banned: BanList) -> None:
        self._bucket = bucket
        self._view = view
        self.list = banned

    def catch_up(self) -> None:
        """Call it after a reconnect."""
        self._view.ask()

    async def ban(self, stream_id: str, user_id: str) -> None:
        """Returns when this core refuses the user's posts; the others follow within 1 s. Idempotent.

        Raises Refusal(NOT_CONFIRMED) when the bucket can't be reached.
        """
        await self._write(self._bucket.put(_key(stream_id, user_id), b"1"))

    async def unban(self, stream_id: str, user_id: str) -> None:
        """Like ``ban``; lifting a ban that is not there is fine."""
        await self._write(self._bucket.delete(_key(stream_id, user_id)))

    async def _write(self, writing: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(_WRITE_S):
                await writing
                await self._view.sync(_WRITE_S)
        except (NatsError, TimeoutError) as error:
            raise not_confirmed() from error


def _key(stream_id: str, user_id: str) -> str:
    # A user id is any text, a key is not.
    return f"{stream_id}.{base64.urlsafe_b64encode(user_id.encode()).decode().rstrip('=')}"


@asynccontextmanager
async def open_bans(client: Client, replicas: int) -> AsyncIterator[Bans]:
    """The bans, mirrored for as long as the context is open."""
    bucket = await open_bucket(client, BUCKET, replicas)
    banned = BanList()
    async with mirror(client, BUCKET, replicas, banned.apply) as view:
        yield Bans(bucket, view, banned)
