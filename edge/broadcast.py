"""Viewers as integers: the same bytes written to many descriptors, in rounds.

A framework object per viewer costs 30 KB and 30 to 120 µs a write; a descriptor costs what the kernel takes. So from
its hand-off on a viewer is a descriptor in a section: all who take the same bytes of the same stream.

One task writes, round after round, so that nothing is ever written by two at once. A round gives everything that has
gathered to everyone in a section; one that takes longer than a window finds more to give the next time, and latency
degrades smoothly. What a viewer does not take at once waits with it alone, bounded.

A viewer that speaks (WebSocket) has a listener, too. It is read when it is readable, and answers to it go through the
same write, between whole rounds or behind what it has not taken yet: nothing is ever torn apart.
"""

import os
import select
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice

import trio

from edge import metrics
from edge.hearing import Listener
from edge.line import SeatedLine
from edge.seats import Seats
from edge.section import Arrival, Section
from edge.writing import Writer

_YIELD_EVERY = 256
"""Writes between two looks at the loop: other tasks' p99 wait fell from 40 to 4.5 ms, rounds took no longer."""
_LOST = select.EPOLLHUP | select.EPOLLERR


class Broadcast:
    """All viewers of one process that are descriptors. ``run`` must be running."""

    def __init__(self, backlog_bytes: int, heartbeat_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self._wake = trio.Event()
        self._seats = Seats(self._wake_up)
        self._writer = Writer(self._seats, backlog_bytes)
        self._due: deque[Section] = deque()
        self._current: Section | None = None
        self._turn = 0

    def __len__(self) -> int:
        return len(self._seats.sections)

    def _wake_up(self) -> None:
        self._wake.set()

    def seat(self, arrivals: Sequence[Arrival]) -> None:
        """Makes descriptors viewers.

        Step by step for all of them: after each call of the kernel Python runs two to three times as slowly for a while
        (its code has left the processor's caches), which took a third of a join's time when each was seated by itself.
        """
        seated = self._seats.take(arrivals)
        for arrival in seated:
            arrival.section.enter(arrival.fd)
        for fd, section, first, _, _ in seated:
            # What a viewer begins with is its own allowance: joining must not count as being behind.
            self._writer.write(fd, section, first, allowance=len(first))

    # -- sections --

    def schedule(self, section: Section) -> None:
        # Not "in self._due": as many sections may be due as there are sessions.
        if not section.is_due:
            section.is_due = True
            self._due.append(section)
        self._wake.set()

    def is_writing(self, section: Section) -> bool:
        return self._current is section

    # -- one viewer --

    def answer(self, fd: int, data: bytes) -> None:
        section = self._seats.sections.get(fd)
        if section is not None and not self.is_parting(fd):
            self._writer.write(fd, section, data)

    def part(self, fd: int, farewell: bytes) -> None:
        self._seats.part(fd, farewell)

    def is_parting(self, fd: int) -> bool:
        return fd in self._seats.parting

    def is_heard(self, fd: int, listener: Listener) -> bool:
        """Whether the descriptor is still this listener's."""
        return self._seats.hearing.is_heard(fd, listener)

    # -- tasks --

    async def run(self) -> None:
        """Until it is cancelled; then all descriptors are closed."""
        try:
            async with trio.open_nursery() as both:
                both.start_soon(self._watch)
                both.start_soon(self._write_rounds)
        finally:
            self._seats.close_all()

    async def _watch(self) -> None:
        """Notices who has gone, who can take more, and who has something to say."""
        seats = self._seats
        while True:
            if seats.hearing.has_unread:
                await trio.lowlevel.checkpoint()
            else:
                await seats.changed()
            for fd in seats.hearing.take_unread():
                self._hear(fd)
            for fd, events in seats.changes():
                self._notice(fd, events)

    def _notice(self, fd: int, events: int) -> None:
        if events & _LOST:
            self._seats.bury(fd)
            return
        if fd in self._seats.hearing:
            if events & (select.EPOLLIN | select.EPOLLRDHUP):
                self._hear(fd)
        elif events & select.EPOLLRDHUP:
            self._seats.bury(fd)
        if events & select.EPOLLOUT:
            self._writer.flush(fd)

    def _hear(self, fd: int) -> None:
        hearing = self._seats.hearing
        line = SeatedLine(self, fd, hearing.listener(fd))
        if not hearing.hear(fd, line) and not self.is_parting(fd):
            self._seats.bury(fd)

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
                self._seats.bury_overdue()
                self._beat(second)
            self._seats.close_ended()

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
            self._writer.queue(fd, section, data)
        for fd, count in seen.items():
            # Its own first bytes held what was pending when it came.
            if self._writer.write(fd, section, b"".join(pending[count:])) and fd not in section.behind:
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
                    self._writer.queue(fd, section, data)
                    continue
                try:
                    taken = write(fd, data)
                except BlockingIOError:
                    taken = 0
                except OSError:
                    self._seats.bury(fd)
                    continue
                if taken != size:
                    self._writer.fall_behind(fd, section, data[taken:])
            if begin + _YIELD_EVERY < len(fds):
                await trio.lowlevel.checkpoint()

    # -- the end, and signs of life --

    def _end(self, section: Section) -> None:
        for fd in [*section.fds, *section.entering]:
            if fd not in section.behind:
                self._seats.finish(fd)
        for fd, backlog in section.behind.items():
            self._writer.close_behind(fd, backlog)

    def _send_away(self) -> None:
        """Those whose time has come."""
        for fd, ending in self._seats.due().items():
            self.part(fd, self._seats.sections[fd].farewells.for_(ending))
            metrics.departures.labels(ending.value).inc()

    def _say_farewell(self) -> None:
        # As many tokens may end in one second as were issued in one: the others wait for the next turn.
        parting = self._seats.parting
        for fd in list(islice(parting, _YIELD_EVERY)):
            self._writer.say_last(fd, self._seats.sections[fd], parting.pop(fd))
        if parting:
            self._wake.set()

    def _beat(self, second: int) -> None:
        """Spread over half the interval by descriptor, so that never all are written to at once.

        Half: who was passed by because it had just been written to is not silent for longer than the whole.
        """
        slots = max(1, int(self._heartbeat_s / 2))
        silent_since = trio.current_time() - self._heartbeat_s / 2
        for section in {id(section): section for section in self._seats.sections.values()}.values():
            if section.written_at <= silent_since:
                for fd in [fd for fd in section.fds if fd % slots == second % slots]:
                    self._writer.write(fd, section, section.heartbeat)
