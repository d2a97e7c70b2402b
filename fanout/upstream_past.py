"""Ranges, asked of the fanout above this one."""

import asyncio

import grpc

from fanout.messages import Entry, LogMessage
from fanout.ranges import READ_S, Limit, Range, away
from fanout.upstream import Upstream
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal
from livecomments.v1 import feed_service_pb2 as pb

_NOTHING = Limit(1, 1)


class UpstreamPast:
    """A Past."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._reached: dict[str, int] = {}

    async def bound(self, wanted: Range) -> Range:
        """Where the log ends, nobody knows here."""
        return wanted

    async def read(self, wanted: Range) -> tuple[Entry, ...]:
        stub = self._upstream.stub
        if stub is None:
            raise away()
        request = pb.BackfillRequest(
            stream_id=wanted.stream_id,
            cursor=str(wanted.cursor),
            max_comments=wanted.limit.events,
            through_seq=wanted.through or 0,
        )
        entries: list[Entry] = []
        events = size = 0
        try:
            async for response in stub.Backfill(request, metadata=self._upstream.metadata, timeout=READ_S):
                for message in response.batch.messages:
                    if wanted.through is None or message.seq <= wanted.through:
                        entries.append(Entry.of(LogMessage.relayed(message)))
                        events += entries[-1].events
                        size += len(entries[-1].encoded)
                wanted.limit.check(events, size)
        except grpc.aio.AioRpcError as error:
            raise Refusal.from_rpc_error(error) from error
        except asyncio.CancelledError:
            # So end the calls of a channel that is closed, which it is when the stream from above is lost, too.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise away() from None
        return tuple(entries)

    async def has_come_to(self, stream_id: str, cursor: Cursor) -> bool:
        # A sequence counts in all streams that share its epoch.
        if cursor.seq <= self._reached.get(cursor.epoch, 0):
            return True
        try:
            await self.read(Range(stream_id, cursor.epoch, cursor.seq, None, _NOTHING))
        except Refusal as refusal:
            return refusal.reason is not Reason.BAD_CURSOR
        self._reached[cursor.epoch] = max(cursor.seq, self._reached.get(cursor.epoch, 0))
        return True
