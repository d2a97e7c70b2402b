"""Writing to one viewer: what it does not take at once waits with it alone, bounded, and whole."""

import os
from collections import deque

from edge import metrics
from edge.seats import Seats
from edge.section import Backlog, Section


class Writer:
    """Writes to the descriptors that sit in ``seats``. Never waits."""

    def __init__(self, seats: Seats, backlog_bytes: int) -> None:
        """``backlog_bytes``: what may wait for one viewer; over that it is let go."""
        self._seats = seats
        self._backlog_bytes = backlog_bytes

    def write(self, fd: int, section: Section, data: bytes, allowance: int = 0) -> bool:
        """Writes to one viewer, or keeps for it what it does not take; False when it is gone.

        ``allowance``: bytes that may wait for it over the bound that holds for all.
        """
        if fd in section.behind:
            return self.queue(fd, section, data)
        try:
            taken = os.write(fd, data) if data else 0
        except BlockingIOError:
            taken = 0
        except OSError:
            self._seats.bury(fd)
            return False
        if taken != len(data):
            self.fall_behind(fd, section, data[taken:], allowance)
        return True

    def fall_behind(self, fd: int, section: Section, rest: bytes, allowance: int = 0) -> None:
        """Keeps what a viewer has not taken, the first time."""
        section.fds.pop(fd, None)
        section.behind[fd] = Backlog(self._backlog_bytes + max(allowance, section.allowance))
        if self.queue(fd, section, rest):
            self._seats.tell_of_room(fd)

    def queue(self, fd: int, section: Section, data: bytes) -> bool:
        """The same for one that is behind already; False when it is gone."""
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
            self._seats.bury(fd)
            return False
        # The first part may be half written: its end, and then the reason.
        backlog.parts = deque((backlog.parts[0], section.farewells.too_slow))
        backlog.size = sum(map(len, backlog.parts))
        self.close_behind(fd, backlog)
        # One that has stopped reading does not take that either.
        self._seats.limit_goodbye(fd)
        return True

    def flush(self, fd: int) -> None:
        """It can take more of what waits for it."""
        seats = self._seats
        section = seats.sections.get(fd)
        backlog = section.behind.get(fd) if section else None
        if section is None or backlog is None or seats.is_dead(fd):
            return
        while backlog.parts:
            part = backlog.parts[0]
            try:
                taken = os.write(fd, part)
            except BlockingIOError:
                return
            except OSError:
                seats.bury(fd)
                return
            backlog.size -= taken
            if taken < len(part):
                backlog.parts[0] = part[taken:]
                return
            backlog.parts.popleft()
        if backlog.is_last:
            seats.finish(fd)
            return
        del section.behind[fd]
        if fd not in section.entering:
            section.fds[fd] = None
        seats.tell_no_more_of_room(fd)

    def say_last(self, fd: int, section: Section, farewell: bytes) -> None:
        """Writes its last bytes to one viewer, which is closed when it has taken them, or after a while."""
        if not self.write(fd, section, farewell):
            return
        backlog = section.behind.get(fd)
        if backlog is None:
            self._seats.finish(fd)
        else:
            self.close_behind(fd, backlog)
            self._seats.limit_goodbye(fd)

    def close_behind(self, fd: int, backlog: Backlog) -> None:
        """What waits for this viewer is the last that it is given."""
        backlog.is_last = True
        hearing = self._seats.hearing
        if fd in hearing:
            hearing.stop(fd)
            self._seats.limit_goodbye(fd)
