"""FeedService over gRPC, and the process around it."""

import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc

from fanout import metrics, wire
from fanout.calls import LongCall
from fanout.feed import Feed
from fanout.from_log import open_from_log
from fanout.from_upstream import open_from_upstream
from fanout.messages import Entry, in_pieces
from fanout.ranges import Limit, Range
from fanout.relay import RelayCall
from fanout.resume import read_cursor
from fanout.settings import FanoutSettings
from fanout.watch import WatchCall, check_may_watch
from livecomments.errors import Reason, Refusal, invalid
from livecomments.identity import caller
from livecomments.stream_ids import check_stream_id
from livecomments.v1 import feed_service_pb2 as pb

NAME = pb.DESCRIPTOR.services_by_name["FeedService"].full_name
BACKFILL_BYTES = 8 * 1024**2
"""A range that takes more is refused, whatever max_comments allows."""
_CHUNK_BYTES = 256 * 1024

Context = grpc.aio.ServicerContext[Any, bytes]


class FeedService:
    """The methods. Responses are bytes: what many callers get is serialized once."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    @property
    def names(self) -> Sequence[str]:
        return (NAME,)

    def mount(self, server: grpc.aio.Server) -> None:
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Watch": grpc.unary_stream_rpc_method_handler(self.Watch, pb.WatchRequest.FromString),
            "Relay": grpc.stream_stream_rpc_method_handler(self.Relay, pb.RelayRequest.FromString),
            "Backfill": grpc.unary_stream_rpc_method_handler(self.Backfill, pb.BackfillRequest.FromString),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))

    def drain(self) -> None:
        # Jittered, so that not all of them knock at one other fanout in the same moment.
        retry_after_ms = random.randint(100, 1_000)
        self._feed.calls.end_all(Refusal(Reason.DRAINING, "this fanout is going away", retry_after_ms=retry_after_ms))

    async def Watch(self, request: pb.WatchRequest, context: Context) -> None:
        self._feed.calls.check()
        check_stream_id(request.stream_id)
        identity = caller()
        if (stream := await self._feed.find(request.stream_id)) is not None:
            check_may_watch(identity, stream)
        await self._run(WatchCall(self._feed, identity, request, context.write))

    async def Relay(self, requests: AsyncIterator[pb.RelayRequest], context: Context) -> None:
        self._feed.calls.check()
        await self._run(RelayCall(self._feed, requests, context.write))

    async def _run(self, call: LongCall) -> None:
        with self._feed.calls.enter(call):
            await call.run()

    async def Backfill(self, request: pb.BackfillRequest, _context: Context) -> AsyncGenerator[bytes, None]:
        """Raises Refusal before anything is sent, or not at all: INVALID_FIELD, STREAM_NOT_FOUND; BODY_TOO_LARGE
        above ``max_comments`` events; BAD_CURSOR for one that is malformed, of another life of the log, that the log
        does not reach back to any more, or has never come to.
        """
        self._feed.calls.check()
        check_stream_id(request.stream_id)
        if request.max_comments < 1:
            raise invalid("max_comments", "must be at least 1")
        await self._feed.find(request.stream_id)
        cursor = read_cursor(request.cursor)
        try:
            if cursor is None:
                raise Refusal(Reason.BAD_CURSOR, "cursor: is not one of this log")
            through = request.through_seq if request.through_seq > cursor.seq else None
            limit = Limit(request.max_comments, BACKFILL_BYTES)
            entries = await self._read(Range(request.stream_id, cursor.epoch, cursor.seq, through, limit))
        except Refusal as refusal:
            metrics.backfills_total.labels(refusal.reason.lower()).inc()
            raise
        metrics.backfills_total.labels("served").inc()
        for window in in_pieces(request.stream_id, entries, _CHUNK_BYTES):
            yield wire.backfill_batch(window.batch)

    async def _read(self, wanted: Range) -> Sequence[Entry]:
        """From memory where that has all of it, else from where this fanout's feed comes from."""
        topic = self._feed.topics.known(wanted.stream_id)
        if topic is None or not topic.remembers(wanted):
            return await self._feed.ranges.read(wanted)
        metrics.backfills_from_memory_total.inc()
        entries = topic.memory.after(wanted.after)
        wanted.limit.check(sum(entry.events for entry in entries), sum(len(entry.encoded) for entry in entries))
        return entries


@asynccontextmanager
async def open_service(settings: FanoutSettings) -> AsyncIterator[FeedService]:
    """A fanout that is ready to be served, for as long as the context is open."""
    opened = open_from_upstream(settings) if settings.fanout_upstream_urls else open_from_log(settings)
    async with opened as feed:
        yield FeedService(feed)
