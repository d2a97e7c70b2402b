"""Reading from the viewers that speak: each has a listener, which hears what comes, piece by piece."""

import os
from typing import Protocol

from livecomments.telemetry import log

RECEIVE_BYTES = 16 * 1024
_READS_PER_TURN = 4
"""Pieces that one viewer is heard out for before the others have their turn."""


class Line(Protocol):
    """The way back to a viewer. It leads nowhere once the viewer is gone or was told farewell."""

    def say(self, data: bytes) -> None:
        """Writes to this viewer alone, behind all that it was given so far; never waits."""

    def part(self, farewell: bytes) -> None:
        """Writes its last bytes and lets it go; what it still sends is not heard any more."""

    @property
    def address(self) -> str:
        """Where the viewer's connection comes from."""


class Listener(Protocol):
    """Hears one viewer. Where there are many, it is all that is kept for one that is silent."""

    def hear(self, line: Line, data: bytes) -> None:
        """The next piece of the byte stream that the viewer sends, of any length but 0."""


class _Deaf:
    def hear(self, line: Line, data: bytes) -> None:
        """Takes no notice: the viewer was told farewell already."""


_DEAF = _Deaf()


class Hearing:
    """Listeners by descriptor. Edge-triggered: what was told to be readable is read until it is empty."""

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}
        self._unread: dict[int, None] = {}
        """Those that had more to say than one turn allows."""

    def __contains__(self, fd: int) -> bool:
        return fd in self._listeners

    def begin(self, fd: int, listener: Listener) -> None:
        self._listeners[fd] = listener

    def stop(self, fd: int) -> None:
        """From now on what comes is read and thrown away: closing on it would reset the connection."""
        if fd in self._listeners:
            self._listeners[fd] = _DEAF

    def forget(self, fd: int) -> None:
        """The descriptor is about to be closed."""
        self._listeners.pop(fd, None)
        self._unread.pop(fd, None)

    def is_heard(self, fd: int, listener: Listener) -> bool:
        """Whether the descriptor is still this listener's: its number may have gone to another viewer."""
        return self._listeners.get(fd) is listener

    def listener(self, fd: int) -> Listener:
        return self._listeners[fd]

    def take_unread(self) -> list[int]:
        """Those that must be heard again, without being told to be readable."""
        unread = list(self._unread)
        self._unread.clear()
        return unread

    @property
    def has_unread(self) -> bool:
        return bool(self._unread)

    def hear(self, fd: int, line: Line) -> bool:
        """Hears what is there; False when nothing more can come."""
        for _ in range(_READS_PER_TURN):
            try:
                data = os.read(fd, RECEIVE_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            try:
                self._listeners[fd].hear(line, data)
            except Exception:
                # Whatever one viewer sends, it takes nobody else with it.
                log().exception("a viewer could not be heard")
                return False
        self._unread[fd] = None
        return True
