"""A fanout that follows the log itself, through NATS."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import SlowConsumerError

from fanout import metrics
from fanout.background import background
from fanout.calls import OpenCalls
from fanout.feed import Feed
from fanout.history import open_history
from fanout.log_past import LogPast
from fanout.log_topic import LogTopic, Sources
from fanout.presence import LocalViewers, Presence
from fanout.ranges import Ranges
from fanout.reader import open_reader
from fanout.resume import Resumer
from fanout.settings import FanoutSettings
from fanout.topic import Topic
from fanout.topics import Topics
from livecomments.log import Log, connect, find_log, open_log
from livecomments.registry import StreamDirectory, open_directory
from livecomments.telemetry import log

LOOK_EVERY_S = 5.0
"""How often fanout looks whether the log is still the one that it knows: a restored one begins a new life, in which the
same sequences stand for other messages.
"""
DEGRADED_AFTER_S = 1.0
"""A connection that is lost for so long degrades the feed: those behind it are told."""
_TICK_S = 0.2


@asynccontextmanager
async def open_from_log(settings: FanoutSettings) -> AsyncIterator[Feed]:
    """The parts of such a fanout, for as long as the context is open."""
    reconnected = asyncio.Event()

    async def on_reconnect() -> None:
        # nats-py is not connected until this returns: nothing may be asked for here.
        reconnected.set()

    def on_error(error: Exception) -> None:
        # The next message shows the gap; after the last one, the next probe.
        if isinstance(error, SlowConsumerError) and error.subject.startswith("live."):
            metrics.dropped_total.inc()

    async with (
        connect(settings, "fanout", on_reconnect, on_error) as client,
        open_directory(client, settings) as directory,
        open_reader(client) as reader,
        open_history(settings, reader) as history,
        background() as tasks,
    ):
        viewers = LocalViewers()
        presence = Presence(client, secrets.token_hex(8), viewers)
        sources = Sources(client, reader, history, directory, presence)
        life = _Life(client, settings, await open_log(client.jetstream(), settings))

        async def make_topic(stream_id: str) -> Topic:
            registered = await directory.find(stream_id)
            return LogTopic(settings, sources, life.stored.shard_of(stream_id), registered)

        topics = Topics(make_topic, linger_s=settings.fanout_linger_s, tasks=tasks)
        ranges = Ranges(LogPast(reader, lambda: life.stored), tasks)
        tasks.create_task(presence.run())
        tasks.create_task(life.look_after(topics, directory, reconnected))
        tasks.create_task(_tell_when_cut_off(client, topics))
        yield Feed(settings, directory.find, topics, Resumer(ranges), ranges, viewers, OpenCalls())


class _Life:
    """Which log it is."""

    def __init__(self, client: Client, settings: FanoutSettings, stored: Log) -> None:
        self._client = client
        self._settings = settings
        self.stored = stored

    async def look_after(self, topics: Topics, directory: StreamDirectory, reconnected: asyncio.Event) -> None:
        """Whatever was said while the connection was lost must be asked for; and the log may be restored at any time:
        then every topic ends, as no cursor of the old one means anything in the new one.
        """
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S * random.uniform(0.8, 1.0)):
                    await reconnected.wait()
            except TimeoutError:
                pass
            else:
                reconnected.clear()
                directory.catch_up()
                topics.ask_all()
            try:
                # Not one that is missing: whoever restores it makes it.
                found = await find_log(self._client.jetstream(), self._settings)
            except (NatsError, TimeoutError) as error:
                log().warning("the log could not be looked at", error=repr(error))
                continue
            if found is None:
                log().warning("the log is missing")
            elif found != self.stored:
                log().warning("the log began a new life")
                self.stored = found
                topics.end_all()


async def _tell_when_cut_off(client: Client, topics: Topics) -> None:
    lost_s = 0.0
    while True:
        lost_s = 0.0 if client.is_connected else lost_s + _TICK_S
        is_cut_off = lost_s > DEGRADED_AFTER_S
        metrics.degraded.set(is_cut_off)
        topics.degrade(is_cut_off)
        await asyncio.sleep(_TICK_S)
