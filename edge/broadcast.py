"""Viewers as integers: the same bytes written to many descriptors, in rounds.

A framework object per viewer costs 30 KB and 30 to 120 µs a write; a descriptor costs what the kernel takes. So from
its hand-off on a viewer is a descriptor in a section: all who take the same bytes of the same stream.

One task writes, round after round, so that nothing is ever written by two at once. A round gives everything that has
gathered to everyone in a section; one that takes longer than a window finds more to give the next time, and latency
degrades smoothly. What a viewer does not take at once waits with it alone, bounded.
"""

import errno
import os
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio

from edge import metrics

_YIELD_EVERY = 256
"""Writes between two looks at the loop: other tasks' p99 wait fell from 40 to 4.5 ms, rounds took no longer."""
_GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_WATCH = select.EPOLLRDHUP | select.EPOLLET
_HALF_OPEN_MS = 30_000
"""A peer that acknowledges nothing for so long is gone."""


class Backlog:
    """What one viewer has not taken yet."""

    __slots__ = ("is_last", "parts", "size")

    def __init__(self) -> None:
        self.parts: deque[bytes] = deque()
        self.size = 0
        self.is_last = False
        """Close when it is taken."""


class Section:
    """The viewers of one stream that take the same bytes."""

    def __init__(self, broadcast: "Broadcast", heartbeat: bytes) -> None:
        self._broadcast = broadcast
        self.heartbeat = heartbeat
        self.fds: dict[int, None] = {}
        """Those that take each round at once."""
        self.behind: dict[int, Backlog] = {}
        self.entering: list[tuple[int, int]] = []
        """(descriptor, how much of ``pending`` it has seen): they came while a round was due or under way."""
        self.pending: list[bytes] = []
        self.written_at = 0.0
        self.is_ending = False

    def __len__(self) -> int:
        return len(self.fds) + len(self.behind) + len(self.entering)

    def push(self, data: bytes) -> None:
        """Queues bytes for everyone who is here now."""
        if len(self):
            self.pending.append(data)
            self._broadcast.schedule(self)

    def seat(self, fd: int, first: bytes) -> None:
        """Takes a descriptor in, for ever: it is closed here. It gets ``first``, then all that is pushed from now on.

        The descriptor must be non-blocking, and nobody else may write to it.
        """
        self._broadcast.adopt(fd, self)
        self.entering.append((fd, len(self.pending)))
        if not self._broadcast.write(fd, self, first):
            return
        if not self.pending and not self._broadcast.is_writing(self):
            self.enter_all()

    def enter_all(self) -> None:
        """Those who came meanwhile take part in the next round."""
        for fd, _ in self.entering:
            if fd not in self.behind:
                self.fds[fd] = None
        self.entering.clear()

    def end(self, farewell: bytes) -> None:
        """Everyone's last bytes; they are closed once they have taken them."""
        self.is_ending = True
        if len(self):
            self.pending.append(farewell)
            self._broadcast.schedule(self)

    def dismiss(self, share: int, farewell: bytes) -> None:
        """Sends one in ``share`` of them away."""
        leaving = list(self.fds)[: -(-len(self.fds) // share)]
        self._broadcast.part(self, leaving, farewell)


class Broadcast:
    """All descriptors of one process. ``run`` and ``watch`` must be running."""

    def __init__(self, backlog_bytes: int, heartbeat_s: float) -> None:
        self._backlog_bytes = backlog_bytes
        self._heartbeat_s = heartbeat_s
        self._sections: dict[int, Section] = {}
        """Where each descriptor sits."""
        self._due: deque[Section] = deque()
        self._current: Section | None = None
        self._dead: set[int] = set()
        """To be closed between rounds: a number must not be given anew while a round still holds it."""
        self._parting: list[tuple[Section, list[int], bytes]] = []
        self._wake = trio.Event()
        self._turn = 0
        self._epoll = select.epoll()

    def __len__(self) -> int:
        return len(self._sections)

    # -- sections --

    def adopt(self, fd: int, section: Section) -> None:
        self._sections[fd] = section
        with suppress(OSError), _borrowed(fd) as borrowed:
            borrowed.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _HALF_OPEN_MS)
            borrowed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._epoll.register(fd, _WATCH)
        metrics.connections.inc()

    def schedule(self, section: Section) -> None:
        if section not in self._due:
            self._due.append(section)
        self._wake.set()

    def part(self, section: Section, fds: list[int], farewell: bytes) -> None:
        self._parting.append((section, fds, farewell))
        self._wake.set()

    def is_writing(self, section: Section) -> bool:
        return self._current is section

    # -- tasks --

    async def watch(self) -> None:
        """Notices who has gone, and who can take more."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for fd, events in self._epoll.poll(0, 1024):
                    if events & _GONE:
                        self._bury(fd)
                    elif events & select.EPOLLOUT:
                        self._flush(fd)
        finally:
            self._close_all()

    async def run(self) -> None:
        """Writes what is due, says farewell, closes the dead, and shows a sign of life to who hears nothing."""
        second = 0
        next_beat = trio.current_time() + 1
        while True:
            with trio.move_on_at(next_beat):
                await self._wake.wait()
            self._wake = trio.Event()
            while self._due:
                await self._round(self._due.popleft())
                self._close_dead()
            self._say_farewell()
            if trio.current_time() >= next_beat:
                next_beat += 1
                second += 1
                self._beat(second)
            self._close_dead()

    async def _round(self, section: Section) -> None:
        began = time.perf_counter()
        pending, section.pending = section.pending, []
        data = b"".join(pending)
        self._current = section
        ready = list(section.fds)
        seen = dict(section.entering)
        section.entering.clear()
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
        size, write = len(data), os.write
        for begin in range(0, len(fds), _YIELD_EVERY):
            for fd in fds[begin : begin + _YIELD_EVERY]:
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

    def write(self, fd: int, section: Section, data: bytes) -> bool:
        """Writes to one viewer, or keeps for it what it does not take; False when it is gone."""
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
            self._fall_behind(fd, section, data[taken:])
        return True

    def _fall_behind(self, fd: int, section: Section, rest: bytes) -> None:
        section.fds.pop(fd, None)
        section.behind[fd] = Backlog()
        if self._queue(fd, section, rest):
            self._epoll.modify(fd, _WATCH | select.EPOLLOUT)

    def _queue(self, fd: int, section: Section, data: bytes) -> bool:
        backlog = section.behind[fd]
        if backlog.is_last:
            return True
        backlog.parts.append(data)
        backlog.size += len(data)
        if backlog.size > self._backlog_bytes:
            # It resumes by cursor: it loses nothing, and nobody else waits for it.
            metrics.dropped_viewers.inc()
            self._bury(fd)
            return False
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
            self._bury(fd)
            return
        del section.behind[fd]
        if not any(fd == entering for entering, _ in section.entering):
            section.fds[fd] = None
        self._epoll.modify(fd, _WATCH)

    def _bury(self, fd: int) -> None:
        self._dead.add(fd)
        self._wake.set()

    def _close_dead(self) -> None:
        for fd in self._dead:
            section = self._sections.pop(fd, None)
            if section is None:
                continue
            section.fds.pop(fd, None)
            section.behind.pop(fd, None)
            section.entering = [entry for entry in section.entering if entry[0] != fd]
            # Before the close: a dead copy's hang-up would be told under the number's next owner.
            with suppress(OSError):
                self._epoll.unregister(fd)
            _close(fd)
            metrics.connections.dec()
        self._dead.clear()

    # -- the end, and signs of life --

    def _end(self, section: Section) -> None:
        for fd in [*section.fds, *(fd for fd, _ in section.entering)]:
            if fd not in section.behind:
                self._bury(fd)
        for backlog in section.behind.values():
            backlog.is_last = True

    def _say_farewell(self) -> None:
        parting, self._parting = self._parting, []
        for section, fds, farewell in parting:
            for fd in fds:
                if fd in section.fds and self.write(fd, section, farewell):
                    backlog = section.behind.get(fd)
                    if backlog is None:
                        self._bury(fd)
                    else:
                        backlog.is_last = True

    def _beat(self, second: int) -> None:
        """Spread over the interval by descriptor, so that never all are written to at once."""
        slots = max(1, round(self._heartbeat_s))
        silent_since = trio.current_time() - self._heartbeat_s
        for section in {id(section): section for section in self._sections.values()}.values():
            if section.written_at <= silent_since:
                for fd in [fd for fd in section.fds if fd % slots == second % slots]:
                    self.write(fd, section, section.heartbeat)

    def _close_all(self) -> None:
        for fd in self._sections:
            _close(fd)
            metrics.connections.dec()
        self._sections.clear()
        self._epoll.close()


def _close(fd: int) -> None:
    # An orderly FIN: what was written is still delivered.
    with suppress(OSError), _borrowed(fd) as borrowed:
        borrowed.shutdown(socket.SHUT_WR)
    try:
        os.close(fd)
    except OSError as error:
        if error.errno == errno.EBADF:
            raise


@contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    """The descriptor as a socket object that does not close it."""
    borrowed = socket.socket(fileno=fd)
    try:
        yield borrowed
    finally:
        borrowed.detach()
