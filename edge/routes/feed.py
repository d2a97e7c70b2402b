"""The feed over a WebSocket, where the door leaves it to Hypercorn.

Plain HTTP/1.1 connections are taken over and become descriptors like the door's. What stays here is TLS, HTTP/2, and
what can't be seated at once: an ended stream, or a cursor ahead of this edge.
"""

from contextlib import aclosing

import trio
from quart import Blueprint, Response, websocket

from edge import metrics
from edge.audience import Viewer
from edge.conversation import Conversation
from edge.encodings.websocket import WEBSOCKET
from edge.expiry import Stay
from edge.server import abort_connection, take_over_connection
from edge.state import Edge, asking_of, forwarded_address, this_edge
from edge.subscribe import Admission, NothingMore, admit
from edge.upgrade import Opening, read_opening, switching_protocols
from livecomments.errors import Refusal

feed = Blueprint("feed", __name__)

_GOODBYE_S = 3
"""How long a viewer may take to end its side once it was told farewell."""


class ViewerLine:
    """A Line to a viewer that Hypercorn serves."""

    def __init__(self, viewer: Viewer, address: str) -> None:
        self._viewer = viewer
        self.address = address

    def say(self, data: bytes) -> None:
        """Queues it for this viewer alone."""
        self._viewer.write(data)

    def part(self, farewell: bytes) -> None:
        """Ends this viewer's feed."""
        self._viewer.end(farewell)


@feed.get("/v1/streams/<stream_id>/feed")
async def no_socket(stream_id: str) -> Response:  # noqa: ARG001 (it is the same for all)
    """For a request that opens no WebSocket: 426 (RFC 9110, section 15.5.22)."""
    return Response(b"", 426, {"Upgrade": "websocket", "Connection": "Upgrade"})


@feed.websocket("/v1/streams/<stream_id>/feed")
async def watch_and_post(stream_id: str) -> None:
    """The feed, and posts on the same connection."""
    edge, asking = this_edge(), asking_of(websocket.headers)
    try:
        opening = read_opening(edge, stream_id, websocket.args.to_dict(flat=False), asking)
        await _watch(edge, stream_id, opening)
    except NothingMore:
        metrics.joins.labels("over").inc()
        await say_farewell(WEBSOCKET.tail)
    except Refusal as refusal:
        metrics.joins.labels(refusal.reason).inc()
        raise


async def _watch(edge: Edge, stream_id: str, opening: Opening) -> None:
    edge.require_room()
    identity = opening.identity
    async with admit(edge.feeds, identity, stream_id, opening.wish) as admission:
        # Once more: one that enters after the last viewer was sent away would be forgotten.
        edge.require_room()
        metrics.joins.labels("accepted").inc()
        address = forwarded_address(edge, websocket.headers)
        conversation = Conversation(edge, admission.topic.stream_id, identity, address)
        take_over = take_over_connection()
        if take_over is None or admission.is_over or not admission.is_abreast:
            await _serve_here(edge, admission, conversation, edge.stay(identity))
        elif (fd := take_over()) is not None:
            # No await stood between the decision and the seat.
            key = websocket.headers["Sec-Websocket-Key"].encode("latin-1")
            first = switching_protocols(key) + admission.first
            section = admission.topic.audience.section(WEBSOCKET, opening.wish.selection)
            section.seat(fd, first, conversation, edge.stay(identity))


async def _serve_here(edge: Edge, admission: Admission, conversation: Conversation, stay: Stay) -> None:
    audience = admission.topic.audience
    viewer = admission.enter(edge.settings.edge_backlog_bytes, abort_connection(), stay)
    edge.ordinary_viewers += 1
    try:
        await websocket.accept()
        async with trio.open_nursery() as both:
            both.start_soon(_listen, conversation, ViewerLine(viewer, websocket.remote_addr or ""))
            async with aclosing(viewer.chunks(edge.settings.edge_heartbeat_s)) as chunks:
                async for data in chunks:
                    await websocket.send(data)
            # Quart cancels us as soon as the viewer has ended its side.
            await trio.sleep(_GOODBYE_S)
            both.cancel_scope.cancel()
    finally:
        edge.ordinary_viewers -= 1
        audience.leave(viewer)


async def _listen(conversation: Conversation, line: ViewerLine) -> None:
    while True:
        data = await websocket.receive()
        assert isinstance(data, bytes)
        conversation.hear(line, data)


async def say_farewell(last: bytes) -> None:
    """Accepts the current WebSocket only to say this; returns when its peer has had time to end its side."""
    await websocket.accept()
    await websocket.send(last)
    with trio.move_on_after(_GOODBYE_S):
        while True:
            # Thrown away. Unread it would fill Hypercorn's queue, and the end of the connection find no room in there.
            await websocket.receive()
