"""Ranges, read from the log itself."""

from collections.abc import Callable
from dataclasses import replace

from fanout.messages import Entry
from fanout.ranges import Range, away
from fanout.reader import LogReader, LogUnavailable, Page
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal
from livecomments.log import Log, Shard


class LogPast:
    """A Past."""

    def __init__(self, reader: LogReader, stored: Callable[[], Log]) -> None:
        """``stored`` gives the log as it is by now: it may begin a new life."""
        self._reader = reader
        self._stored = stored
        self._reached: dict[Shard, int] = {}

    async def bound(self, wanted: Range) -> Range:
        """Where the stream's last message stands, as the leader knows it."""
        shard = self._shard(wanted.stream_id, wanted.epoch)
        try:
            last = await self._reader.last(shard, wanted.stream_id)
        except LogUnavailable as error:
            raise away() from error
        through = last.seq if last is not None else 0
        if wanted.after > through and not await self.has_come_to(wanted.stream_id, wanted.cursor):
            raise Refusal(Reason.BAD_CURSOR, "cursor: the log has not come to it")
        return replace(wanted, through=through)

    async def read(self, wanted: Range) -> tuple[Entry, ...]:
        shard = self._shard(wanted.stream_id, wanted.epoch)
        try:
            return await self._read(shard, wanted)
        except LogUnavailable as error:
            raise away() from error

    async def has_come_to(self, stream_id: str, cursor: Cursor) -> bool:
        shard = self._stored().shard_of(stream_id)
        if cursor.epoch != shard.epoch:
            return False
        if cursor.seq > self._reached.get(shard, 0):
            try:
                self._reached[shard] = (await self._reader.shard_state(shard)).last
            except LogUnavailable:
                return True
        return cursor.seq <= self._reached.get(shard, cursor.seq)

    def _shard(self, stream_id: str, epoch: str) -> Shard:
        shard = self._stored().shard_of(stream_id)
        if epoch != shard.epoch:
            raise Refusal(Reason.BAD_CURSOR, "cursor: is not one of this log")
        return shard

    async def _read(self, shard: Shard, wanted: Range) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        events, size, at = 0, 0, wanted.after
        while wanted.through is None or at < wanted.through:
            page = await self._next(shard, wanted.stream_id, at)
            for message in page.messages:
                if (wanted.through is None or message.seq <= wanted.through) and message.events.events:
                    entries.append(Entry.of(message))
                    events += entries[-1].events
                    size += len(message.encoded)
            wanted.limit.check(events, size)
            if not page.messages:
                break
            at = page.messages[-1].seq
        # Only now: what was trimmed during the read counts, too.
        if wanted.after + 1 < (await self._reader.shard_state(shard)).first:
            raise Refusal(Reason.BAD_CURSOR, "the log does not reach back to the cursor any more")
        return tuple(entries)

    async def _next(self, shard: Shard, stream_id: str, at: int) -> Page:
        """A replica that has nothing may be behind; the leader's word is final."""
        page = await self._reader.after(shard, stream_id, at)
        return page if page.messages else await self._reader.leader_after(shard, stream_id, at)
