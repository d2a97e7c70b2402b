"""Viewers as integers: the same bytes written to many descriptors, in rounds.

A framework object per viewer costs 30 KB and 30 to 120 µs a write; a descriptor costs what the kernel takes. So from
its hand-off on a viewer is a descriptor in a section: all who take the same bytes of the same stream.

One task writes, round after round, so that nothing is ever written by two at once. A round gives everything that has
gathered to everyone in a section; one that takes longer than a window finds more to give the next time, and latency
degrades smoothly. What a viewer does not take at once waits with it alone, bounded.

A viewer that speaks (WebSocket) has a listener, too. It is read when it is readable, and answers to it go through the
same write, between whole rounds or behind what it has not taken yet: nothing is ever torn apart.
"""

import errno
import os
import select
import time
from collections import deque
from contextlib import suppress
from itertools import islice

import trio

from edge import descriptors, metrics
from edge.expiry import Departures, Stay
from edge.hearing import Hearing, Listener
from edge.section import Backlog, Section
from livecomments.telemetry import log

_YIELD_EVERY = 256
"""Writes between two looks at the loop: other tasks' p99 wait fell from 40 to 4.5 ms, rounds took no longer."""
_EVENTS_PER_TURN = 256
_LOST = select.EPOLLHUP | select.EPOLLERR
_WATCH = select.EPOLLRDHUP | select.EPOLLET
_HEAR = _WATCH | select.EPOLLIN
_GOODBYE_S = 3
"""How long a viewer that speaks may take for its last bytes, and to end its side. Closing on what it still sends would
reset the connection, and those bytes could be lost.
"""


class SeatedLine:
    """A Line to a descriptor."""

    __slots__ = ("_broadcast", "_fd", "_listener")

    def __init__(self, broadcast: "Broadcast", fd: int, listener: Listener) -> None:
        self._broadcast = broadcast
        self._fd = fd
        self._listener = listener

    def say(self, data: bytes) -> None:
        """Writes to this viewer alone."""
        if self._broadcast.hearing.is_heard(self._fd, self._listener):
            self._broadcast.answer(self._fd, data)

    def part(self, farewell: bytes) -> None:
        """Lets it go."""
        if self._broadcast.hearing.is_heard(self._fd, self._listener):
            self._broadcast.part(self._fd, farewell)

    @property
    def address(self) -> str:
        """Asked of the kernel, so that nobody has to remember it."""
        return descriptors.peer_address(self._fd)


class Broadcast:
    """All descriptors of one process. ``run`` must be running."""

    def __init__(self, backlog_bytes: int, heartbeat_s: float) -> None:
        self._backlog_bytes = backlog_bytes
        self._heartbeat_s = heartbeat_s
        self._sections: dict[int, Section] = {}
        """Where each descriptor sits."""
        self._due: deque[Section] = deque()
        self._current: Section | None = None
        self.hearing = Hearing()
        self._dead: set[int] = set()
        """To be closed between rounds: a number must not be given anew while a round still holds it."""
        self._finished: set[int] = set()
        """The same for those that have taken their last bytes."""
        self._departures = Departures(trio.current_time())
        self._parting: dict[int, bytes] = {}
        """Farewells to be said between rounds."""
        self._deadlines: dict[int, float] = {}
        """When those that were told farewell are closed, whatever they still do; trio's clock."""
        self._wake = trio.Event()
        self._turn = 0
        self._epoll = select.epoll()

    def __len__(self) -> int:
        return len(self._sections)

    # -- sections --

    def adopt(self, fd: int, section: Section, listener: Listener | None, stay: Stay) -> bool:
        """False when the kernel has no room for it: then it is closed, and comes back."""
        try:
            self._epoll.register(fd, _WATCH if listener is None else _HEAR)
        except OSError as error:
            metrics.accept_failures.labels(errno.errorcode.get(error.errno or 0, "unknown")).inc()
            log().warning("can't watch a connection", error=error.strerror)
            descriptors.close(fd)
            return False
        self._sections[fd] = section
        self._departures.plan(fd, stay)
        if listener is not None:
            self.hearing.begin(fd, listener)
        metrics.connections.inc()
        return True

    def schedule(self, section: Section) -> None:
        # Not "in self._due": as many sections may be due as there are sessions.
        if not section.is_due:
            section.is_due = True
            self._due.append(section)
        self._wake.set()

    def part(self, fd: int, farewell: bytes) -> None:
        self.hearing.stop(fd)
        self._parting.setdefault(fd, farewell)
        self._wake.set()

    def is_parting(self, fd: int) -> bool:
        return fd in self._parting

    def answer(self, fd: int, data: bytes) -> None:
        section = self._sections.get(fd)
        if section is not None and fd not in self._parting:
            self.write(fd, section, data)

    def is_writing(self, section: Section) -> bool:
        return self._current is section

    # -- tasks --

    async def run(self) -> None:
        """Until it is cancelled; then all descriptors are closed."""
        try:
            async with trio.open_nursery() as both:
                both.start_soon(self._watch)
                both.start_soon(self._write_rounds)
        finally:
            self._close_all()

    async def _watch(self) -> None:
        """Notices who has gone, who can take more, and who has something to say."""
        while True:
            if self.hearing.has_unread:
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
            for fd in self.hearing.take_unread():
                self._hear(fd)
            for fd, events in self._epoll.poll(0, _EVENTS_PER_TURN):
                self._notice(fd, events)

    def _notice(self, fd: int, events: int) -> None:
        if events & _LOST:
            self._bury(fd)
            return
        if fd in self.hearing:
            if events & (select.EPOLLIN | select.EPOLLRDHUP):
                self._hear(fd)
        elif events & select.EPOLLRDHUP:
            self._bury(fd)
        if events & select.EPOLLOUT:
            self._flush(fd)

    def _hear(self, fd: int) -> None:
        line = SeatedLine(self, fd, self.hearing.listener(fd))
        if not self.hearing.hear(fd, line) and fd not in self._parting:
            self._bury(fd)

    async def _write_rounds(self) -> None:
        """Writes what is due, says farewell, closes the dead, and shows a sign of life to who hears nothing."""
        second = rounds = 0
        next_beat = trio.current_time() + 1
        while True:
            if not self._due:
                with trio.move_on_at(next_beat):
                    await self._wake.wait()
            self._wake = trio.Event()
            if self._due:
                await self._round(self._due.popleft())
                rounds += 1
                if rounds % _YIELD_EVERY == 0:
                    # Sections of one: none of their rounds is long enough to yield by itself.
                    await trio.lowlevel.checkpoint()
            self._say_farewell()
            if trio.current_time() >= next_beat:
                next_beat += 1
                second += 1
                self._send_away()
                self._beat(second)
            self._close_dead()

    async def _round(self, section: Section) -> None:
        began = time.perf_counter()
        section.is_due = False
        pending, section.pending = section.pending, []
        data = b"".join(pending)
        self._current = section
        # Those that came during a round take all of this one, in its paced part: a storm brings thousands.
        section.fds.update(
            (fd, None) for fd, count in section.entering.items() if not count and fd not in section.behind
        )
        seen = {fd: count for fd, count in section.entering.items() if count}
        section.entering.clear()
        ready = list(section.fds)
        for fd in section.behind.keys() - seen.keys():
            self._queue(fd, section, data)
        for fd, count in seen.items():
            # Its own first bytes held what was pending when it came.
            if self.write(fd, section, b"".join(pending[count:])) and fd not in section.behind:
                section.fds[fd] = None
        # Each time another one is first.
        start = self._turn % len(ready) if ready else 0
        self._turn += 7919
        await self._write_all(section, ready[start:] + ready[:start], data)
        self._current = None
        section.written_at = trio.current_time()
        if section.is_ending:
            self._end(section)
        elif section.entering and not section.pending:
            section.enter_all()
        metrics.round_seconds.observe(time.perf_counter() - began)

    async def _write_all(self, section: Section, fds: list[int], data: bytes) -> None:
        size, write, behind = len(data), os.write, section.behind
        for begin in range(0, len(fds), _YIELD_EVERY):
            for fd in fds[begin : begin + _YIELD_EVERY]:
                if behind and fd in behind:
                    # Since this round began, by an answer of its own.
                    self._queue(fd, section, data)
                    continue
                try:
                    taken = write(fd, data)
                except BlockingIOError:
                    taken = 0
                except OSError:
                    self._bury(fd)
                    continue
                if taken != size:
                    self._fall_behind(fd, section, data[taken:])
            if begin + _YIELD_EVERY < len(fds):
                await trio.lowlevel.checkpoint()

    # -- one descriptor --

    def write(self, fd: int, section: Section, data: bytes, allowance: int = 0) -> bool:
        """Writes to one viewer, or keeps for it what it does not take; False when it is gone.

        ``allowance``: bytes that may wait for it over the bound that holds for all.
        """
        if fd in section.behind:
            return self._queue(fd, section, data)
        try:
            taken = os.write(fd, data) if data else 0
        except BlockingIOError:
            taken = 0
        except OSError:
            self._bury(fd)
            return False
        if taken != len(data):
            self._fall_behind(fd, section, data[taken:], allowance)
        return True

    def _fall_behind(self, fd: int, section: Section, rest: bytes, allowance: int = 0) -> None:
        section.fds.pop(fd, None)
        section.behind[fd] = Backlog(self._backlog_bytes + max(allowance, section.allowance))
        if self._queue(fd, section, rest):
            self._epoll.modify(fd, self._interest(fd) | select.EPOLLOUT)

    def _queue(self, fd: int, section: Section, data: bytes) -> bool:
        backlog = section.behind[fd]
        if backlog.is_last:
            return True
        backlog.parts.append(data)
        backlog.size += len(data)
        if backlog.size <= backlog.bound:
            return True
        # It resumes by cursor: it loses nothing, and nobody else waits for it.
        metrics.dropped_viewers.inc()
        if not section.farewells.too_slow:
            self._bury(fd)
            return False
        # The first part may be half written: its end, and then the reason.
        backlog.parts = deque((backlog.parts[0], section.farewells.too_slow))
        backlog.size = sum(map(len, backlog.parts))
        self._last_queued(fd, backlog)
        # One that has stopped reading does not take that either.
        self._deadlines[fd] = trio.current_time() + _GOODBYE_S
        return True

    def _flush(self, fd: int) -> None:
        section = self._sections.get(fd)
        backlog = section.behind.get(fd) if section else None
        if section is None or backlog is None or fd in self._dead:
            return
        while backlog.parts:
            part = backlog.parts[0]
            try:
                taken = os.write(fd, part)
            except BlockingIOError:
                return
            except OSError:
                self._bury(fd)
                return
            backlog.size -= taken
            if taken < len(part):
                backlog.parts[0] = part[taken:]
                return
            backlog.parts.popleft()
        if backlog.is_last:
            self._finish(fd)
            return
        del section.behind[fd]
        if fd not in section.entering:
            section.fds[fd] = None
        self._epoll.modify(fd, self._interest(fd))

    def _interest(self, fd: int) -> int:
        return _HEAR if fd in self.hearing else _WATCH

    def _bury(self, fd: int) -> None:
        """It is gone."""
        self._dead.add(fd)
        self._wake.set()

    def _finish(self, fd: int) -> None:
        """It has taken its last bytes."""
        self._finished.add(fd)
        self._wake.set()

    def _last_queued(self, fd: int, backlog: Backlog) -> None:
        backlog.is_last = True
        if fd in self.hearing:
            self.hearing.stop(fd)
            self._deadlines[fd] = trio.current_time() + _GOODBYE_S

    def _close_dead(self) -> None:
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

    def _unseat(self, fd: int) -> None:
        section = self._sections.pop(fd, None)
        if section is None:
            return  # it lingers
        self._parting.pop(fd, None)
        self._departures.forget(fd)
        metrics.connections.dec()
        section.leave(fd)

    def _linger(self, fd: int) -> None:
        """Waits for the peer's own end, bounded."""
        self.hearing.stop(fd)
        self._deadlines[fd] = trio.current_time() + _GOODBYE_S
        descriptors.finish(fd)
        # Told anew, should it have ended already.
        self._epoll.modify(fd, _HEAR)

    def _close(self, fd: int) -> None:
        self.hearing.forget(fd)
        self._deadlines.pop(fd, None)
        # Before the close: a dead copy's hang-up would be told under the number's next owner.
        with suppress(OSError):
            self._epoll.unregister(fd)
        descriptors.close(fd)

    # -- the end, and signs of life --

    def _end(self, section: Section) -> None:
        for fd in [*section.fds, *section.entering]:
            if fd not in section.behind:
                self._finish(fd)
        for fd, backlog in section.behind.items():
            self._last_queued(fd, backlog)

    def _send_away(self) -> None:
        """Those whose time has come."""
        for fd, ending in self._departures.due(trio.current_time()).items():
            self.part(fd, self._sections[fd].farewells.for_(ending))
            metrics.departures.labels(ending.value).inc()

    def _say_farewell(self) -> None:
        # As many tokens may end in one second as were issued in one: the others wait for the next turn.
        for fd in list(islice(self._parting, _YIELD_EVERY)):
            section = self._sections[fd]
            if self.write(fd, section, self._parting.pop(fd)):
                backlog = section.behind.get(fd)
                if backlog is None:
                    self._finish(fd)
                else:
                    self._last_queued(fd, backlog)
                    self._deadlines[fd] = trio.current_time() + _GOODBYE_S
        if self._parting:
            self._wake.set()

    def _beat(self, second: int) -> None:
        """Spread over half the interval by descriptor, so that never all are written to at once.

        Half: who was passed by because it had just been written to is not silent for longer than the whole.
        """
        self._dead.update(fd for fd, deadline in self._deadlines.items() if deadline <= trio.current_time())
        slots = max(1, int(self._heartbeat_s / 2))
        silent_since = trio.current_time() - self._heartbeat_s / 2
        for section in {id(section): section for section in self._sections.values()}.values():
            if section.written_at <= silent_since:
                for fd in [fd for fd in section.fds if fd % slots == second % slots]:
                    self.write(fd, section, section.heartbeat)

    def _close_all(self) -> None:
        for fd in self._sections.keys() | self._deadlines.keys():
            self._unseat(fd)
            self._close(fd)
        self._epoll.close()
