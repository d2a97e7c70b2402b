"""Who watches one stream on this edge, and how windows reach them."""

import math
from collections import deque
from collections.abc import AsyncGenerator, Callable

import trio

from edge import metrics
from edge.broadcast import Broadcast, Section
from edge.encodings import sse
from edge.memory import Window

END = b""
"""Stands behind the last bytes of a viewer's outbox."""


class Viewer:
    """One open connection: what waits for it, bounded.

    Every window is written to all viewers as the same bytes object. One that can't keep up is closed with what it
    has; its cursor stays good, so it comes back for the rest and delays nobody meanwhile.
    """

    __slots__ = ("_abort", "_backlog", "_bytes", "_outbox", "_wake", "is_leaving", "skip_through")

    def __init__(self, first: bytes, backlog: int, abort: Callable[[], None], skip_through: int = 0) -> None:
        self._outbox: deque[bytes] = deque((first,))
        self._bytes = len(first)
        # A snapshot is its own allowance: joining must not count as being behind.
        self._backlog = backlog + len(first)
        self._wake = trio.Event()
        self.skip_through = skip_through
        """Windows up to this seq were seen already: its cursor was ahead of this edge."""
        self._abort = abort
        self.is_leaving = False

    def write(self, data: bytes) -> None:
        if self.is_leaving:
            return
        if self._bytes + len(data) > self._backlog:
            self.is_leaving = True
            metrics.dropped_viewers.inc()
            # Hypercorn would wait for a stalled reader for ever: its socket must go, not just its task.
            self._abort()
            return
        self._outbox.append(data)
        self._bytes += len(data)
        self._wake.set()

    def take(self) -> bytes:
        """What waits, to be written elsewhere: this viewer's own end."""
        self.is_leaving = True
        return b"".join(self._outbox)

    def end(self) -> None:
        """Lets it go once all that waits is written."""
        self.is_leaving = True
        self._outbox.append(END)
        self._wake.set()

    async def chunks(self, heartbeat_s: float) -> AsyncGenerator[bytes]:
        """What to write, as it comes; a sign of life after each ``heartbeat_s`` of silence."""
        while True:
            if not self._outbox:
                self._wake = trio.Event()
                with trio.move_on_after(heartbeat_s):
                    await self._wake.wait()
                if not self._outbox:
                    yield sse.HEARTBEAT
                    continue
            is_last = self._outbox[-1] is END
            data = b"".join(self._outbox)
            self._outbox.clear()
            if data:
                yield data
            # What was handed out counts until it was taken: a reader that stalls is stuck in the yield above.
            self._bytes -= len(data)
            if is_last:
                return


class Audience:
    """All viewers of one stream: those handed off, and those that Hypercorn still serves (TLS, HTTP/2)."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._viewers: set[Viewer] = set()
        self._section = Section(broadcast, sse.chunk(sse.HEARTBEAT))

    def __len__(self) -> int:
        return len(self._viewers) + len(self._section)

    def enter(self, viewer: Viewer) -> None:
        self._viewers.add(viewer)
        metrics.connections.inc()

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        metrics.connections.dec()

    def seat(self, viewer: Viewer, fd: int) -> None:
        """Turns a viewer into a descriptor: what waits for it is written there, and all that comes from now on."""
        self._section.seat(fd, sse.chunk(waiting) if (waiting := viewer.take()) else b"")

    def take_in(self, fd: int, first: bytes) -> None:
        """Makes a descriptor a viewer that has been given everything up to now in ``first``, framed."""
        self._section.seat(fd, first)

    def show(self, window: Window, epoch: str) -> None:
        """Gives a window to everyone; whole windows, in order."""
        comments = sum(
            event.WhichOneof("kind") == "posted" for message in window.messages for event in message.events.events
        )
        metrics.deliveries.inc(comments * len(self))
        self._section.push(sse.chunk(window.encoded))
        for viewer in self._viewers:
            if viewer.skip_through >= window.messages[0].seq:
                unseen = [message for message in window.messages if message.seq > viewer.skip_through]
                viewer.write(sse.window(epoch, unseen, 0))
            else:
                viewer.write(window.encoded)

    def tell(self, data: bytes) -> None:
        """Gives everyone something that stands outside the log, or a snapshot that replaces what they have."""
        self._section.push(sse.chunk(data))
        for viewer in self._viewers:
            viewer.write(data)

    def end(self) -> None:
        """Ends everyone's feed."""
        self._section.end(sse.LAST_CHUNK)
        for viewer in self._viewers:
            viewer.end()

    def dismiss(self, farewell: bytes, share: int) -> None:
        """Sends one in ``share`` viewers away, with the bytes that tell them when to come back."""
        self._section.dismiss(share, sse.chunk(farewell) + sse.LAST_CHUNK)
        staying = [viewer for viewer in self._viewers if not viewer.is_leaving]
        for viewer in staying[: math.ceil(len(staying) / share)]:
            viewer.write(farewell)
            viewer.end()
