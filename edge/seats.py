"""The descriptors of one process: where each sits, what the kernel tells of it, and how it ends.

What ends is closed between two rounds alone: a number must not be given anew while a round still holds it.
"""

import errno
import select
from collections.abc import Callable, Sequence
from contextlib import suppress

import trio

from edge import descriptors, metrics
from edge.expiry import Departures, Ending
from edge.hearing import Hearing
from edge.section import Arrival, Section
from livecomments.telemetry import log

GOODBYE_S = 3
"""How long a viewer that speaks may take for its last bytes, and to end its side. Closing on what it still sends would
reset the connection, and those bytes could be lost.
"""
_EVENTS_PER_TURN = 256
_GOING = select.EPOLLRDHUP | select.EPOLLET
_HEARD = _GOING | select.EPOLLIN


class Seats:
    """Each descriptor's section, listener and end."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """``wake`` is called whenever something is to be done between rounds."""
        self._wake = wake
        self.sections: dict[int, Section] = {}
        """Where each descriptor sits."""
        self.hearing = Hearing()
        self.parting: dict[int, bytes] = {}
        """Farewells to be said between rounds."""
        self._departures = Departures(trio.current_time())
        self._dead: set[int] = set()
        self._finished: set[int] = set()
        """Those that have taken their last bytes."""
        self._deadlines: dict[int, float] = {}
        """When those that were told farewell are closed, whatever they still do; trio's clock."""
        self._epoll = select.epoll()

    def take(self, arrivals: Sequence[Arrival]) -> Sequence[Arrival]:
        """Watches over them from now on; all but those that the kernel has no room for."""
        watched = [arrival for arrival in arrivals if self._watch(arrival)]
        for fd, section, _, stay, listener in watched:
            self.sections[fd] = section
            self._departures.plan(fd, stay)
            if listener is not None:
                self.hearing.begin(fd, listener)
        return watched

    def _watch(self, arrival: Arrival) -> bool:
        """False when the kernel has no room for it: then it is closed, and comes back."""
        fd, section, _, _, listener = arrival
        try:
            self._epoll.register(fd, _GOING if listener is None else _HEARD)
        except OSError as error:
            metrics.accept_failures.labels(errno.errorcode.get(error.errno or 0, "unknown")).inc()
            log().warning("can't watch a connection", error=error.strerror)
            descriptors.close(fd)
            section.tell_if_empty()
            return False
        return True

    # -- what the kernel tells --

    async def changed(self) -> None:
        """Waits until there are ``changes``."""
        await trio.lowlevel.wait_readable(self._epoll.fileno())

    def changes(self) -> list[tuple[int, int]]:
        """Descriptors and epoll's events since this was asked before, a turn's worth."""
        return self._epoll.poll(0, _EVENTS_PER_TURN)

    def tell_of_room(self, fd: int) -> None:
        """From now on the kernel tells when this one can take more, too."""
        self._epoll.modify(fd, self._interest(fd) | select.EPOLLOUT)

    def tell_no_more_of_room(self, fd: int) -> None:
        self._epoll.modify(fd, self._interest(fd))

    def _interest(self, fd: int) -> int:
        return _HEARD if fd in self.hearing else _GOING

    # -- the end --

    def bury(self, fd: int) -> None:
        """It is gone."""
        self._dead.add(fd)
        self._wake()

    def is_dead(self, fd: int) -> bool:
        return fd in self._dead

    def finish(self, fd: int) -> None:
        """It has taken its last bytes."""
        self._finished.add(fd)
        self._wake()

    def part(self, fd: int, farewell: bytes) -> None:
        """It is let go with this between two rounds, and not heard any more."""
        self.hearing.stop(fd)
        self.parting.setdefault(fd, farewell)
        self._wake()

    def limit_goodbye(self, fd: int) -> None:
        """It is closed soon, whatever it still does."""
        self._deadlines[fd] = trio.current_time() + GOODBYE_S

    def due(self) -> dict[int, Ending]:
        """Those whose stay is over since this was asked before."""
        return self._departures.due(trio.current_time())

    def bury_overdue(self) -> None:
        """Those that have taken too long for their goodbye."""
        now = trio.current_time()
        self._dead.update(fd for fd, deadline in self._deadlines.items() if deadline <= now)

    def close_ended(self) -> None:
        """Between rounds."""
        for fd in self._dead:
            self._unseat(fd)
            self._close(fd)
        for fd in self._finished - self._dead:
            self._unseat(fd)
            if fd in self.hearing:
                self._linger(fd)
            else:
                self._close(fd)
        self._dead.clear()
        self._finished.clear()

    def close_all(self) -> None:
        """At the end of the process."""
        for fd in self.sections.keys() | self._deadlines.keys():
            self._unseat(fd)
            self._close(fd)
        self._epoll.close()

    def _unseat(self, fd: int) -> None:
        section = self.sections.pop(fd, None)
        if section is None:
            return  # it lingers
        self.parting.pop(fd, None)
        self._departures.forget(fd)
        section.leave(fd)

    def _linger(self, fd: int) -> None:
        """Waits for the peer's own end, bounded."""
        self.hearing.stop(fd)
        self.limit_goodbye(fd)
        descriptors.finish(fd)
        # Told anew, should it have ended already.
        self._epoll.modify(fd, _HEARD)

    def _close(self, fd: int) -> None:
        self.hearing.forget(fd)
        self._deadlines.pop(fd, None)
        # Before the close: a dead copy's hang-up would be told under the number's next owner.
        with suppress(OSError):
            self._epoll.unregister(fd)
        descriptors.close(fd)
