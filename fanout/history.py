"""History on join: what a topic that was not open here begins with."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from fanout import metrics
from fanout.memory import Beginning
from fanout.messages import LogMessage
from fanout.reader import LogReader
from fanout.ring import placed
from fanout.settings import FanoutSettings
from fanout.tail import count_comments, read_tail
from livecomments.calls import CHANNEL_OPTIONS
from livecomments.cursor import BadCursor, Cursor
from livecomments.errors import Refusal
from livecomments.hedged import Hedged
from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.log import Shard
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import StreamEnded
from livecomments.v1.history_service_pb2 import ListRecentCommentsRequest, ListRecentCommentsResponse
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub

if TYPE_CHECKING:  # known to the stubs alone
    from livecomments.v1.history_service_pb2_grpc import HistoryServiceAsyncStub

STORE_S = 1.0
"""How long storage may take, all that are asked together; a join does not wait for it any longer."""
_PATIENCE_S = 0.3
"""After so long without an answer another storage is asked, too: the first may be frozen."""
TAIL_S = 120.0
"""How far back the log is read when storage does not answer; all of it where that is not enough."""
_CONTINUATION_MESSAGES = 2_000
"""Messages of the log that are read after the store's; a store that is further behind is left out."""
_AT_ONCE = 64
"""Requests to storage under way: when a fanout starts again, all its edges' topics are opened in one moment."""


class History:
    """Reads beginnings from storage and the log."""

    def __init__(
        self, reader: LogReader, stores: Sequence["HistoryServiceAsyncStub"], service_token: str, comments: int
    ) -> None:
        self._reader = reader
        self._stores = Hedged(stores)
        self._metadata = ((SERVICE_TOKEN_KEY, service_token),)
        self._comments = comments
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def read(self, shard: Shard, stream_id: str) -> Beginning:
        """The stream's latest comments, and the place in the log up to which they are complete.

        Storage gives comments with the cursor through which it is complete; the log continues from there to its end.
        Where storage is away or slow, names another epoch's cursor, is further behind than is worth reading, or the
        log does not reach back to its cursor any more, the log's own last comments stand in: fewer perhaps, but none
        is missing between two that are there.

        Raises LogUnavailable when the log does not answer.
        """
        stored = await self._ask_stores(stream_id)
        # Only now: the log's end must not be older than what the store has seen.
        end = await self._end(shard, stream_id)
        through = _through(stored, shard) if stored is not None else None
        if stored is not None and through is not None:
            comments = placed(stored.comments, stored.comment_seqs, stored.comment_indices)
            from_first = not stored.next_page_token
            if through >= end.seq or not end.exists:
                return Beginning(end.seq, end.seq, end.ended, comments, from_first=from_first)
            continuation = await self._continue(shard, stream_id, through, end.seq)
            if continuation:
                last_seq = continuation[-1].seq
                return Beginning(last_seq, through, end.ended, comments, continuation, from_first=from_first)
        metrics.histories_without_storage_total.inc()
        messages = await self._tail(shard, stream_id, end.seq) if end.exists else []
        if not messages:
            return Beginning(end.seq, end.seq, end.ended)
        return Beginning(messages[-1].seq, messages[0].seq - 1, end.ended, (), messages)

    async def _ask_stores(self, stream_id: str) -> ListRecentCommentsResponse | None:
        if not self._stores:
            return None
        request = ListRecentCommentsRequest(stream_id=stream_id, page_size=self._comments)
        try:
            async with self._slots:
                return await self._stores.ask(
                    lambda store: store.ListRecentComments(request, metadata=self._metadata, timeout=STORE_S),
                    patience_s=_PATIENCE_S,
                    deadline_s=STORE_S,
                )
        except Refusal as refusal:
            log().warning("storage gave no history", stream=stream_id, error=str(refusal))
            return None

    async def _end(self, shard: Shard, stream_id: str) -> "_End":
        message = await self._reader.last(shard, stream_id)
        if message is None:
            # Nothing of this stream is in the log. Up to where that holds, the shard's last sequence tells, if it was
            # read before the second look.
            state = await self._reader.shard_state(shard)
            message = await self._reader.last(shard, stream_id)
            if message is None:
                return _End(state.last, exists=False)
        for event in message.events.events:
            if event.HasField("ended"):
                return _End(message.seq, exists=True, ended=event.ended)
        return _End(message.seq, exists=True)

    async def _continue(self, shard: Shard, stream_id: str, after: int, last: int) -> list[LogMessage]:
        """The messages after the store's, through ``last``; none at all when they are too many, did not come, or may
        not be all.
        """
        messages: list[LogMessage] = []
        at = after
        while at < last:
            page = await self._reader.known_after(shard, stream_id, at)
            if not page.messages or len(messages) + len(page.messages) + page.pending > _CONTINUATION_MESSAGES:
                return []
            messages += page.messages
            at = page.messages[-1].seq
        # Only now: what was trimmed during the read counts, too.
        return messages if (await self._reader.shard_state(shard)).first <= after + 1 else []

    async def _tail(self, shard: Shard, stream_id: str, last: int) -> list[LogMessage]:
        """The log's own last messages through ``last``, enough for all comments that are wanted where it has them."""
        messages: list[LogMessage] = []
        for since_unix_s in (time.time() - TAIL_S, 0.0):
            messages = await read_tail(
                self._reader, shard, stream_id, last, since_unix_s=since_unix_s, comments=self._comments
            )
            if count_comments(messages) >= self._comments:
                break
        return messages


@dataclass(frozen=True, slots=True)
class _End:
    """Where a subject ends in the log."""

    seq: int
    """Nothing of the subject stands after it."""
    exists: bool
    """The log holds messages of the subject; the last is at ``seq``."""
    ended: StreamEnded | None = None


def _through(stored: ListRecentCommentsResponse, shard: Shard) -> int | None:
    """The sequence through which the store is complete; None when it knows another life of the log."""
    try:
        cursor = Cursor.parse(stored.through_cursor)
    except BadCursor:
        return None
    return cursor.seq if cursor.epoch == shard.epoch else None


@asynccontextmanager
async def open_history(settings: FanoutSettings, reader: LogReader) -> AsyncIterator[History]:
    """Connections to storage for as long as the context is open."""
    async with AsyncExitStack() as stack:
        stores = []
        for address in settings.storage_urls:
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS))
            stores.append(HistoryServiceStub(channel))
        yield History(reader, stores, settings.service_token(), settings.fanout_ring)
