"""Everyone who watches one stream, by the way in which they do."""

import socket

import pytest
import trio

from edge.audience import Audience, Viewer
from edge.broadcast import Broadcast
from edge.encodings import Encoding
from edge.encodings.grpc_web import GRPC_WEB
from edge.encodings.gzip import GZIP
from edge.encodings.sse import SSE
from edge.encodings.websocket import WEBSOCKET
from edge.frames import POLICY, close_frame
from edge.grpc_web import BINARY
from edge.sampling import Selection
from livecomments.errors import Reason, Refusal

pytestmark = pytest.mark.anyio
REFUSED = Refusal(Reason.STREAM_NOT_FOUND)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        (SSE, b""),
        (GZIP, GZIP.tail),
        (WEBSOCKET, close_frame(POLICY, "STREAM_NOT_FOUND")),
        (GRPC_WEB, BINARY.refusal(REFUSED)),
    ],
)
async def test_a_feed_that_is_refused_ends_with_the_reason_where_there_is_a_word_for_it(
    encoding: Encoding, said: bytes
) -> None:
    broadcast = Broadcast(1 << 16, 15)
    audience = Audience(broadcast)
    ordinary = Viewer(encoding, Selection.SAMPLE, b"first", 1 << 16, lambda: None)
    far, near = socket.socketpair()
    near.setblocking(False)
    async with trio.open_nursery() as nursery, trio.SocketStream(trio.socket.from_stdlib_socket(far)) as peer:
        nursery.start_soon(broadcast.run)
        audience.enter(ordinary)
        audience.section(encoding, Selection.SAMPLE).seat(near.detach(), b"first")
        audience.refuse(REFUSED)
        with trio.fail_after(5):
            seated = b"".join([bytes(data) async for data in peer])
        audience.leave(ordinary)
        nursery.cancel_scope.cancel()
    assert seated == b"first" + encoding.frame(said) + encoding.last_frame
    assert ordinary.take() == b"first" + said
