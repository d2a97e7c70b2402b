"""A fanout that is fed by another one: for a region, or for more edges than one fanout can serve."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fanout import metrics
from fanout.background import background
from fanout.calls import OpenCalls
from fanout.feed import Feed
from fanout.presence import LocalViewers
from fanout.ranges import Ranges
from fanout.resume import Resumer
from fanout.settings import FanoutSettings
from fanout.topic import Topic
from fanout.topics import Topics
from fanout.upstream import Upstream
from fanout.upstream_past import UpstreamPast
from fanout.upstream_topic import UpstreamTopic
from livecomments.v1.comment_pb2 import Stream

CONNECT_TIMEOUT_S = 10.0
_TICK_S = 0.2


@asynccontextmanager
async def open_from_upstream(settings: FanoutSettings) -> AsyncIterator[Feed]:
    """The parts of such a fanout, for as long as the context is open.

    Raises ConnectionError when no fanout answers within CONNECT_TIMEOUT_S.
    """
    viewers = LocalViewers()
    upstream = Upstream(settings.fanout_upstream_urls, settings.service_token(), viewers)
    async with background() as tasks:
        ranges = Ranges(UpstreamPast(upstream), tasks)

        async def make_topic(stream_id: str) -> Topic:
            return UpstreamTopic(settings, upstream, ranges, stream_id)

        topics = Topics(make_topic, linger_s=settings.fanout_linger_s, tasks=tasks)

        async def find(stream_id: str) -> Stream | None:
            known = topics.known(stream_id)
            return known.stream() if known is not None else None

        tasks.create_task(upstream.run())
        tasks.create_task(upstream.report())
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await upstream.reached.wait()
        except TimeoutError:
            addresses = ", ".join(settings.fanout_upstream_urls)
            raise ConnectionError(f"none of the fanouts above this one answers: {addresses}") from None
        tasks.create_task(_tell_when_cut_off(upstream, topics))
        yield Feed(settings, find, topics, Resumer(ranges), ranges, viewers, OpenCalls())


async def _tell_when_cut_off(upstream: Upstream, topics: Topics) -> None:
    while True:
        is_cut_off = upstream.is_cut_off()
        metrics.degraded.set(is_cut_off)
        if is_cut_off:
            # The snapshot of each says when it is over.
            topics.degrade(True)
        await asyncio.sleep(_TICK_S)
