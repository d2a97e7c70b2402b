"""Who watches one stream on this edge, and how windows reach them."""

import math
import random
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import trio

from edge import metrics
from edge.broadcast import Broadcast
from edge.encodings import Encoding
from edge.events import FeedEvent
from edge.expiry import FOREVER, Ending, Stay
from edge.sampling import Selection
from edge.section import Farewells, Section, one_in
from edge.window import Portion, Window
from livecomments.errors import Refusal

END = b""
"""Stands behind the last bytes of a viewer's outbox."""


class Viewer:
    """One open connection: what waits for it, bounded.

    Every window is written to all viewers as the same bytes object. One that can't keep up is closed with what it
    has; its cursor stays good, so it comes back for the rest and delays nobody meanwhile.
    """

    __slots__ = (
        "_abort", "_backlog", "_bytes", "_outbox", "_wake", "allowance", "encoding", "is_leaving", "selection",
        "skip_through", "stay",
    )  # fmt: skip

    def __init__(
        self,
        encoding: Encoding,
        selection: Selection,
        first: bytes,
        backlog: int,
        abort: Callable[[], None],
        *,
        stay: Stay = FOREVER,
        skip_through: int = 0,
    ) -> None:
        self.encoding = encoding
        self.selection = selection
        self._outbox: deque[bytes] = deque((first,))
        self._bytes = len(first)
        # A snapshot is its own allowance: joining must not count as being behind.
        self._backlog = backlog + len(first)
        self.allowance = 0
        """Bytes that may wait for it over the bound that holds for all."""
        self._wake = trio.Event()
        self.skip_through = skip_through
        """Windows up to this seq were seen already: its cursor was ahead of this edge."""
        self._abort = abort
        self.stay = stay
        self.is_leaving = False

    def write(self, data: bytes) -> None:
        # A window that it has seen already is empty, and would look like the end.
        if self.is_leaving or not data:
            return
        if self._bytes + len(data) > self._backlog + self.allowance:
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

    def end(self, last: bytes) -> None:
        """Lets it go once all that waits is written, and ``last`` behind it."""
        if self.is_leaving:
            return
        self.is_leaving = True
        self._outbox += (last, END)
        self._wake.set()

    async def chunks(self, heartbeat_s: float) -> AsyncGenerator[bytes]:
        """What to write, as it comes; a sign of life after each ``heartbeat_s`` of silence. Ends with its stay."""
        while True:
            until = math.inf if self.is_leaving else self.stay.until
            if trio.current_time() >= until:
                self._send_away()
            if not self._outbox:
                self._wake = trio.Event()
                silent_at = trio.current_time() + heartbeat_s
                with trio.move_on_at(min(silent_at, until)):
                    await self._wake.wait()
                if not self._outbox:
                    if trio.current_time() >= silent_at:
                        yield self.encoding.heartbeat
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

    def _send_away(self) -> None:
        metrics.departures.labels(self.stay.ending.value).inc()
        encoding = self.encoding
        self.end(encoding.farewell(_retry_ms()) if self.stay.ending is Ending.AGE else encoding.expired)


class Seat(Protocol):
    """The place of a viewer of several streams in the audience of one of them."""

    encoding: Encoding
    selection: Selection
    skip_through: int
    """Windows up to this seq were seen already."""

    def write(self, data: bytes) -> None:
        """The next part; nothing for an empty one. Leaves the audience as it is."""

    def end(self) -> None:
        """Ends this stream's feed."""


class Audience:
    """All viewers of one stream: those handed off, those that Hypercorn still serves (TLS, HTTP/2), and those that
    watch other streams on the same connection, each of whom comes and goes by itself.
    """

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._viewers: set[Viewer] = set()
        self._seats: set[Seat] = set()
        self._sections: dict[tuple[str, Selection], tuple[Encoding, Section]] = {}
        """By the encoding's name, and which comments are given."""

    def __len__(self) -> int:
        return len(self._viewers) + len(self._seats) + sum(len(section) for _, section in self._sections.values())

    def enter(self, viewer: Viewer) -> None:
        self._viewers.add(viewer)

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)

    def attach(self, seat: Seat) -> None:
        """Takes in a viewer of several streams."""
        self._seats.add(seat)

    def detach(self, seat: Seat) -> None:
        """Lets it go."""
        self._seats.discard(seat)

    def seat(self, viewer: Viewer, fd: int) -> None:
        """Turns a viewer into a descriptor: what waits for it is written there, and all that comes from now on."""
        first = viewer.encoding.frame(viewer.take())
        self.section(viewer.encoding, viewer.selection).seat(fd, first, stay=viewer.stay)

    def section(self, encoding: Encoding, selection: Selection) -> Section:
        """Where those sit who are given the same bytes."""
        found = self._sections.get((encoding.name, selection))
        if found is None:
            section = Section(self._broadcast, encoding.frame(encoding.heartbeat), farewells(encoding))
            found = self._sections[encoding.name, selection] = (encoding, section)
        return found[1]

    def show(self, window: Window) -> None:
        """Gives a window to everyone; whole windows, in order."""
        for (_, selection), (encoding, section) in self._sections.items():
            if len(section):
                portion = window.of(selection)
                section.push(encoding.frame(portion.encoded(encoding)))
                _count(portion, len(section))
        for viewer in self._by_themselves():
            portion = window.of(viewer.selection)
            viewer.write(portion.after(viewer.skip_through, viewer.encoding))
            _count(portion, 1)

    def tell(self, event: FeedEvent) -> None:
        """Gives everyone something that stands outside the log, or a snapshot that replaces what they have."""
        told = {encoding.name: encoding.events([event]) for encoding, _ in self._sections.values()}
        for encoding, section in self._sections.values():
            section.push(encoding.frame(told[encoding.name]))
        for viewer in self._by_themselves():
            name = viewer.encoding.name
            if name not in told:
                told[name] = viewer.encoding.events([event])
            viewer.write(told[name])

    def end(self) -> None:
        """Ends everyone's feed: the stream has ended."""
        self._end(lambda encoding: encoding.tail)

    def refuse(self, refusal: Refusal) -> None:
        """Ends everyone's feed: nobody may have it any more."""
        self._end(lambda encoding: encoding.refused(refusal))

    def _end(self, last: Callable[[Encoding], bytes]) -> None:
        for encoding, section in self._sections.values():
            section.end(encoding.frame(last(encoding)) + encoding.last_frame)
        for viewer in self._viewers:
            viewer.end(last(viewer.encoding))
        for seat in list(self._seats):
            seat.end()

    def dismiss(self, retry_ms: int, share: int) -> None:
        """Sends one in ``share`` viewers away, telling them when to come back; those of several streams stay."""
        for encoding, section in self._sections.values():
            section.dismiss(share, encoding.frame(encoding.farewell(retry_ms)) + encoding.last_frame)
        staying = [viewer for viewer in self._viewers if not viewer.is_leaving]
        for viewer in staying[: one_in(share, len(staying))]:
            viewer.end(viewer.encoding.farewell(retry_ms))

    def send_back(self) -> None:
        """Sends everyone away at once, to be asked anew who may watch; those who may go on with their cursors."""
        self.dismiss(_retry_ms(), 1)
        for seat in list(self._seats):
            seat.end()

    def _by_themselves(self) -> list[Viewer | Seat]:
        """Those who don't take what others do."""
        return [*self._viewers, *self._seats]


def farewells(encoding: Encoding) -> Farewells:
    """Those of an encoding, framed."""

    def framed(last: bytes) -> bytes:
        return encoding.frame(last) + encoding.last_frame

    return Farewells(encoding.too_slow, lambda: framed(encoding.farewell(_retry_ms())), framed(encoding.expired))


def _retry_ms() -> int:
    return random.randint(200, 2_000)


def _count(portion: Portion, viewers: int) -> None:
    metrics.deliveries.inc(portion.comments * viewers)
    if portion.omitted:
        metrics.omitted.inc(portion.omitted * viewers)
