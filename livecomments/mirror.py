"""A key-value bucket of JetStream, mirrored into memory.

Not nats-py's own watcher: that rests on an ordered consumer, which can stay blind for 20 s after a reconnect. The
bucket republishes what it has stored; a plain subscription hears that at once, and whatever it may have missed is
asked for by revision: after a gap, after a reconnect, and every 10 s in any case.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, KeyValueConfig, RePublish, StorageType
from nats.js.errors import NotFoundError
from nats.js.kv import KeyValue

from livecomments.enlarge import find_enlarged
from livecomments.ensure import PATIENCE_S, ensure
from livecomments.telemetry import log

_CATCH_UP_EVERY_S = 10.0
_FETCH_S = 5.0

Apply = Callable[[str, bytes | None, int], None]
"""Told of each change, in revision order for each key: key, value (None: deleted), revision."""


async def open_bucket(client: Client, bucket: str, replicas: int) -> KeyValue:
    """The bucket, made where it is missing; where it has fewer copies, it gets so many."""
    js = client.jetstream()
    config = KeyValueConfig(
        bucket=bucket,
        storage=StorageType.FILE,
        replicas=replicas,
        republish=RePublish(src=f"$KV.{bucket}.>", dest=f"mirror.{bucket}.>"),
    )
    name = f"KV_{bucket}"

    async def find() -> KeyValue:
        await find_enlarged(js, name, replicas=replicas)
        return await js.key_value(bucket)

    return await ensure(name, find, lambda: js.create_key_value(config))


class Mirror:
    """Keeps telling ``apply`` what a bucket holds. Open one with ``mirror()``."""

    def __init__(self, client: Client, bucket: str, apply: Apply) -> None:
        self._client = client
        self._bucket = bucket
        self._apply = apply
        self._revision = 0
        self._behind = asyncio.Event()
        self._caught_up = asyncio.Condition()
        self._rounds = 0

    def ask(self) -> None:
        """Looks for missed changes now; call it after a reconnect."""
        self._behind.set()

    async def sync(self, timeout_s: float) -> None:
        """Returns when every change that was stored before the call has been applied; raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._caught_up:
            # The round under way may have started before the change: only the one after it counts.
            target = self._rounds + 2
            self._behind.set()
            while self._rounds < target:
                await self._caught_up.wait()
                self._behind.set()

    async def heard(self, message: Msg) -> None:
        headers = message.headers or {}
        revision = int(headers.get("Nats-Sequence", 0))
        if revision == self._revision + 1:
            self._take(message.subject.split(".", 2)[2], message.data, headers, revision)
        elif revision > self._revision:
            self._behind.set()

    async def run(self) -> None:
        """Catches up whenever asked to; a failure is logged and tried again."""
        while True:
            try:
                await self._catch_up()
            except (NatsError, TimeoutError) as error:
                log().warning("mirror is behind", bucket=self._bucket, error=repr(error))
                await asyncio.sleep(0.5 * random.uniform(0.5, 1.5))
                continue
            async with self._caught_up:
                self._rounds += 1
                self._caught_up.notify_all()
            try:
                async with asyncio.timeout(_CATCH_UP_EVERY_S * random.uniform(0.8, 1.2)):
                    await self._behind.wait()
            except TimeoutError:
                pass

    async def _catch_up(self) -> None:
        self._behind.clear()
        js = self._client.jetstream()
        info = await js.stream_info(f"KV_{self._bucket}")
        target = info.state.last_seq
        if target <= self._revision:
            if target < self._revision:
                # The bucket was restored from an older copy: begin again.
                self._revision = 0
                self._behind.set()
            return
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._revision + 1,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=30.0,
        )
        created = await js.add_consumer(f"KV_{self._bucket}", config)
        sub = await js.pull_subscribe_bind(created.name, stream=f"KV_{self._bucket}")
        try:
            pending = created.num_pending or 0
            while pending:
                for message in await sub.fetch(min(500, pending), timeout=_FETCH_S):
                    meta = message.metadata
                    pending = meta.num_pending
                    if meta.sequence.stream > self._revision:
                        key = message.subject.split(".", 2)[2]
                        self._take(key, message.data, message.headers or {}, meta.sequence.stream)
        finally:
            await sub.unsubscribe()
            await js.delete_consumer(f"KV_{self._bucket}", created.name)
        if self._revision < target:
            await self._check_nothing_follows(js)
            self._revision = target

    async def _check_nothing_follows(self, js: JetStreamContext) -> None:
        """Raises TimeoutError when the bucket holds more: the consumer stands on a server that is behind."""
        try:
            # Of the leader; a direct get may be answered by one that is behind, too.
            await js.get_msg(f"KV_{self._bucket}", seq=self._revision + 1, subject=f"$KV.{self._bucket}.>", next=True)
        except NotFoundError:
            return
        raise TimeoutError("the consumer is behind the bucket's leader")

    def _take(self, key: str, value: bytes, headers: dict[str, str], revision: int) -> None:
        self._revision = revision
        deleted = headers.get("KV-Operation") in ("DEL", "PURGE") or "Nats-Marker-Reason" in headers
        self._apply(key, None if deleted else value, revision)


@asynccontextmanager
async def mirror(client: Client, bucket: str, replicas: int, apply: Apply) -> AsyncIterator[Mirror]:
    """Mirrors a bucket for as long as the context is open; when it opens, all that the bucket held was applied."""
    await open_bucket(client, bucket, replicas)
    view = Mirror(client, bucket, apply)
    subscription = await client.subscribe(f"mirror.{bucket}.>", cb=view.heard)
    try:
        async with asyncio.TaskGroup() as tasks:
            runner = tasks.create_task(view.run())
            await view.sync(PATIENCE_S)
            try:
                yield view
            finally:
                runner.cancel()
    finally:
        if not client.is_closed:
            await subscription.unsubscribe()
