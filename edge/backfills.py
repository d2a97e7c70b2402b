"""Parts of the log that this edge does not remember, asked of fanout: once for all who come back from one place."""

from dataclasses import dataclass, field

import trio

from edge import metrics
from edge.upstream import Metadata, collect
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal
from livecomments.v1 import feed_service_pb2 as pb
from livecomments.v1.feed_service_pb2_grpc import FeedServiceStub

READ_S = 5.0
KEEP_S = 2.0
"""The viewers of a lost edge come back within about so long, and many of them from the same place."""
_FINAL = frozenset({Reason.BAD_CURSOR, Reason.BODY_TOO_LARGE})
"""Refusals that a second question would bring, too."""
_KEPT_MAX = 16
"""Ranges that are kept at once; each is bounded by what a resume may bring."""


class Backfills:
    """Reads ranges of the log; the shared ones belong to ``nursery``."""

    def __init__(self, nursery: trio.Nursery, metadata: Metadata, max_events: int) -> None:
        self._nursery = nursery
        self._metadata = metadata
        self._max_events = max_events
        self._shared: dict[tuple[str, Cursor], _Range] = {}
        self.stub: FeedServiceStub | None = None
        """The fanout that is asked; None while none was reached yet."""

    async def read(self, stream_id: str, cursor: Cursor, through: int) -> list[pb.FeedMessage]:
        """What stands in the log after a cursor, in order: at least up to the seq ``through``, where that is behind the
        cursor, else up to now.

        Raises Refusal: BAD_CURSOR for a place that was trimmed away or that the log has never come to, BODY_TOO_LARGE
        for more than a resume may bring, OVERLOADED when nobody can tell.
        """
        request = pb.BackfillRequest(
            stream_id=stream_id, cursor=str(cursor), max_comments=self._max_events, through_seq=through
        )
        try:
            if self.stub is None:
                raise Refusal(Reason.OVERLOADED, "the feed is not reachable", retry_after_ms=1_000)
            answers = await collect(self.stub.Backfill, request, timeout_s=READ_S, metadata=self._metadata)
        except Refusal:
            metrics.backfills.labels("refused").inc()
            raise
        metrics.backfills.labels("served").inc()
        return [message for answer in answers for message in answer.batch.messages]

    async def share(self, stream_id: str, cursor: Cursor, *, floor: int, known: int) -> list[pb.FeedMessage]:
        """The same, at least up to ``floor``; one read serves all who ask within KEEP_S.

        ``floor``: memory has everything after it; ``known``: how far it has come, and so the log at least.
        """
        key = (stream_id, cursor)
        found = self._shared.get(key)
        if found is None or found.reaches < floor:
            found = self._shared[key] = _Range(known)
            # In the edge's own nursery: the first who asked may go away, the others still want it.
            self._nursery.start_soon(self._read_shared, key, found)
        await found.done.wait()
        if found.refusal is not None:
            raise found.refusal
        return found.messages

    def kept(self, stream_id: str, cursor: Cursor, *, floor: int) -> list[pb.FeedMessage] | None:
        """The same, where it is known already; None where it would have to be asked for. Raises the final Refusals."""
        found = self._shared.get((stream_id, cursor))
        if found is None or not found.done.is_set() or found.reaches < floor:
            return None
        if found.refusal is not None:
            raise found.refusal
        return found.messages

    async def _read_shared(self, key: "tuple[str, Cursor]", wanted: "_Range") -> None:
        try:
            wanted.messages = await self.read(*key, through=wanted.reaches)
        except Refusal as refusal:
            wanted.refusal = refusal
        wanted.done.set()
        if len(self._shared) <= _KEPT_MAX and (wanted.refusal is None or wanted.refusal.reason in _FINAL):
            await trio.sleep(KEEP_S)
        if self._shared.get(key) is wanted:
            del self._shared[key]


@dataclass(eq=False)
class _Range:
    reaches: int
    """It holds everything up to here at least."""
    done: trio.Event = field(default_factory=trio.Event)
    messages: list[pb.FeedMessage] = field(default_factory=list)
    refusal: Refusal | None = None
