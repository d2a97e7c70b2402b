"""The loop in which a crowd lives."""

import resource
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Self

from tests.crowd.members import Good, Member, Restless

TICK_S = 0.05
"""Those who act by themselves do so once in this time."""
_FAULTS_MAX = 20


class Crowd:
    """Members that watch one stream, or post in it, on some edges. Not a thread: it lives in ``until``."""

    def __init__(self, addresses: Sequence[str], stream: str, members: Sequence[Member]) -> None:
        """``addresses``: host:port of each edge. A viewer that was cut asks another one the next time."""
        self._addresses = [(host, int(port)) for host, port in (address.split(":") for address in addresses)]
        self._stream = stream
        self._attempts = 0
        self.members = members
        self.good = [member for member in members if isinstance(member, Good)]
        self._restless = [member for member in members if isinstance(member, Restless)]
        self._unconnected = set(members)
        self._epoll = select.epoll()
        self._by_fd: dict[int, Member] = {}

    def __enter__(self) -> Self:
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._limits[1], self._limits[1]))
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.end()
        self._epoll.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)

    def until(self, condition: Callable[[], object], what: str, timeout_s: float) -> None:
        """Lives until the condition holds, which is looked at once a tick; fails after the deadline, or for a fault."""
        deadline = time.monotonic() + timeout_s
        next_tick = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= next_tick:
                if condition():
                    return
                assert now < deadline, f"not within {timeout_s} s: {what}"
                self._tick()
                next_tick = now + TICK_S
            for fd, _ in self._epoll.poll(max(0.0, next_tick - time.monotonic()), 1024):
                # It may have ended in this very turn, by another one's doing.
                if (member := self._by_fd.get(fd)) is not None:
                    member.hear()
                    self._notice(fd, member)

    def faults(self) -> list[str]:
        """What was done to members that must not be; some of it, if it is much."""
        return [f"{m.name}: {m.fault}" for m in self.members if m.fault][:_FAULTS_MAX]

    def _tick(self) -> None:
        assert not self.faults(), self.faults()
        for restless in self._restless:
            if restless.connection is not None:
                fd = restless.connection.fileno()
                restless.tick()
                self._notice(fd, restless)
        for member in list(self._unconnected):
            self._connect(member)

    def _notice(self, fd: int, member: Member) -> None:
        """Looks whether it has ended its connection."""
        if member.connection is None:
            del self._by_fd[fd]  # the kernel takes a closed one from the set by itself
            self._unconnected.add(member)

    def _connect(self, member: Member) -> None:
        self._attempts += 1
        connection = socket.socket()
        try:
            member.prepare(connection)
            connection.settimeout(5)
            connection.connect(self._addresses[self._attempts % len(self._addresses)])
            connection.setblocking(False)
            member.begin(connection, self._stream)
        except (ConnectionError, TimeoutError):
            # Nobody listens there: with the next tick it asks another one.
            member.end()
            connection.close()
            return
        self._unconnected.discard(member)
        self._by_fd[connection.fileno()] = member
        self._epoll.register(connection, member.events)
