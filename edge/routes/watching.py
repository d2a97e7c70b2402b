"""A viewer that comes in through Hypercorn: served there until its connection can be handed off."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from edge.server import abort_connection
from edge.state import Edge
from edge.subscribe import Wish, admit
from livecomments.tokens import Identity


async def watch_here(
    edge: Edge, identity: Identity, stream_id: str, wish: Wish, hand_off: Callable[[], int | None] | None
) -> AsyncGenerator[bytes]:
    """What one viewer is given, for the current request's response; ends with the feed, or with the hand-off.

    ``hand_off`` gives the connection away, or None when it is lost meanwhile; it is None itself where that can't be.
    Before the first bytes this raises Refusal or NothingMore.
    """
    abort = abort_connection()
    edge.require_room()
    async with admit(edge.feeds, identity, stream_id, wish) as admission:
        # Once more: one that enters after the last viewer was sent away would be forgotten.
        edge.require_room()
        viewer = admission.enter(edge.settings.edge_backlog_bytes, abort, edge.stay(identity))
        edge.ordinary_viewers += 1
        try:
            async with aclosing(viewer.chunks(edge.settings.edge_heartbeat_s)) as chunks:
                async for data in chunks:
                    yield data
                    # What was yielded has been written; nothing may come between this and the seat.
                    if hand_off is not None and admission.may_be_seated(viewer):
                        if (fd := hand_off()) is not None:
                            admission.topic.audience.seat(viewer, fd)
                        return
        finally:
            edge.ordinary_viewers -= 1
            admission.topic.audience.leave(viewer)


async def chained(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    """A feed whose first bytes were taken already."""
    async with aclosing(rest):
        yield first
        async for data in rest:
            yield data
