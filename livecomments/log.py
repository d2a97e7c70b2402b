"""The log: JetStream streams that hold every event, and the NATS connection to them (design.md, sections 3 and 4)."""

import asyncio
import secrets
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RePublish, StorageType, StreamConfig, StreamInfo
from nats.js.errors import NotFoundError

from livecomments.enlarge import find_enlarged
from livecomments.ensure import ensure
from livecomments.nats_access import Credentials, tls_context
from livecomments.nats_transport import CLOSE_S, BoundedTransport, EncryptedTransport
from livecomments.settings import Settings
from livecomments.telemetry import log

EPOCH_KEY = "livecomments-epoch"
CONNECT_TIMEOUT_S = 10.0
_CONNECTED_POLL_S = 0.02
DUPLICATE_WINDOW_S = 120.0
"""How long JetStream remembers a Nats-Msg-Id, and core a request_id."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One JetStream stream of the log. A comment stream lives in one shard, always the same."""

    number: int
    epoch: str
    """Random name of this log's life: part of every cursor."""

    @property
    def name(self) -> str:
        """Name of the JetStream stream."""
        return shard_name(self.number)

    def subject(self, stream_id: str) -> str:
        """Where a stream's events are stored."""
        return f"comments.{self.number}.{stream_id}"

    def live_subject(self, stream_id: str) -> str:
        """Where JetStream republishes what it has stored, with Nats-Sequence and Nats-Last-Sequence."""
        return f"live.{self.number}.{stream_id}"


@dataclass(frozen=True, slots=True)
class Log:
    """All shards, by number."""

    shards: tuple[Shard, ...]

    def shard_of(self, stream_id: str) -> Shard:
        """The shard of a stream: CRC-32 of its id, modulo the number of shards; stable for ever."""
        return self.shards[zlib.crc32(stream_id.encode()) % len(self.shards)]


def shard_name(number: int) -> str:
    return f"COMMENTS_{number}"


@asynccontextmanager
async def connect(
    settings: Settings,
    name: str,
    on_reconnect: Callable[[], Awaitable[None]] | None = None,
    on_error: Callable[[Exception], None] | None = None,
) -> AsyncIterator[Client]:
    """A NATS connection that reconnects for ever; a server that is frozen is given up after about 4 s.

    ``on_reconnect`` runs after each reconnect: what a plain subscription missed meanwhile must be asked for.
    ``on_error`` is told of what nats-py reports beside its answers, such as messages that it had to drop.
    Raises TimeoutError, with what went wrong last, when no server lets us in within CONNECT_TIMEOUT_S; SettingsError.
    """
    logger = log()
    trouble: Exception | None = None

    async def report(error: Exception) -> None:
        # A failed reconnect is reported here and nowhere else.
        nonlocal trouble
        trouble = error
        logger.warning("nats error", error=repr(error))
        if on_error is not None:
            on_error(error)

    async def disconnected() -> None:
        logger.warning("nats disconnected")

    async def reconnected() -> None:
        logger.info("nats reconnected")
        let_in.set()
        if on_reconnect is not None:
            await on_reconnect()

    tls = tls_context(settings)
    credentials = Credentials(settings.nats_creds) if settings.nats_creds else None
    client = Client()
    let_in = asyncio.Event()
    # nats-py has no public way to give it one.
    client._transport = transport = BoundedTransport() if tls is None else EncryptedTransport()
    try:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await client.connect(
                    list(settings.nats_url),
                    name=name,
                    error_cb=report,
                    disconnected_cb=disconnected,
                    reconnected_cb=reconnected,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.25,  # type: ignore[arg-type]  # seconds, as a float will do
                    connect_timeout=2,
                    # Three are unanswered before the server is given up.
                    ping_interval=1.5,  # type: ignore[arg-type]
                    max_outstanding_pings=2,
                    tls=tls,
                    user_jwt_cb=credentials.jwt if credentials else None,
                    signature_cb=credentials.sign if credentials else None,
                )
                if not client.is_connected:
                    # A server hung up instead of letting us in: to nats-py that is a connection which was lost.
                    await let_in.wait()
        except TimeoutError as error:
            raise TimeoutError(f"no NATS server let us in within {CONNECT_TIMEOUT_S:.0f} s: {trouble!r}") from error
        yield client
    finally:
        await _close(client, transport)


async def _close(client: Client, transport: BoundedTransport) -> None:
    """Ends all of the client's tasks. What a frozen server has not taken within CLOSE_S is given up."""
    try:
        if client.is_connected or client.is_connecting or client.is_reconnecting:
            async with asyncio.timeout(CLOSE_S):
                await client.close()
    except TimeoutError:
        log().warning("nats did not take our last words")
    finally:
        transport.retire()


async def open_log(js: JetStreamContext, settings: Settings, *, grow_to_bytes: int = -1) -> Log:
    """The log as it stands, made first where it is missing; where it has fewer copies, it gets so many.

    Any service may be the first to come. A smaller shard that is there grows to ``grow_to_bytes``, which core alone
    says: others may have been told another ``log_bytes``.
    """
    infos = [await _open_shard(js, settings, number, grow_to_bytes) for number in range(settings.log_shards)]
    return Log(tuple(Shard(number, epoch_of(info)) for number, info in enumerate(infos)))


async def find_log(js: JetStreamContext, settings: Settings) -> Log | None:
    """The log as it stands; None while a part of it is missing."""
    try:
        infos = [await js.stream_info(shard_name(number)) for number in range(settings.log_shards)]
    except NotFoundError:
        return None
    return Log(tuple(Shard(number, epoch_of(info)) for number, info in enumerate(infos)))


async def _open_shard(js: JetStreamContext, settings: Settings, number: int, grow_to_bytes: int) -> StreamInfo:
    name = shard_name(number)
    config = StreamConfig(
        name=name,
        subjects=[f"comments.{number}.*"],
        storage=StorageType.FILE,
        num_replicas=settings.log_replicas,
        # At its limit the log refuses; it never drops what was accepted.
        discard=DiscardPolicy.NEW,
        max_bytes=settings.log_bytes,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_direct=True,
        republish=RePublish(src=f"comments.{number}.*", dest=f"live.{number}.{{{{wildcard(1)}}}}"),
        metadata={EPOCH_KEY: secrets.token_hex(4)},
    )

    async def find() -> StreamInfo:
        return await find_enlarged(js, name, replicas=settings.log_replicas, max_bytes=grow_to_bytes)

    # Should another service make it at the same time, its epoch counts.
    return await ensure(name, find, lambda: js.add_stream(config))


def epoch_of(info: StreamInfo) -> str:
    """The epoch of a shard's JetStream stream; raises RuntimeError when the stream is not one of ours."""
    epoch = (info.config.metadata or {}).get(EPOCH_KEY)
    if epoch is None:
        raise RuntimeError(f"the JetStream stream {info.config.name} is not one of ours: it has no {EPOCH_KEY}")
    return epoch
