"""The way back to a viewer that speaks, by its descriptor."""

from typing import TYPE_CHECKING

from edge import descriptors
from edge.hearing import Listener

if TYPE_CHECKING:
    from edge.broadcast import Broadcast


class SeatedLine:
    """A Line to a descriptor."""

    __slots__ = ("_broadcast", "_fd", "_listener")

    def __init__(self, broadcast: "Broadcast", fd: int, listener: Listener) -> None:
        self._broadcast = broadcast
        self._fd = fd
        self._listener = listener

    def say(self, data: bytes) -> None:
        """Writes to this viewer alone."""
        if self._is_open():
            self._broadcast.answer(self._fd, data)

    def part(self, farewell: bytes) -> None:
        """Lets it go."""
        if self._is_open():
            self._broadcast.part(self._fd, farewell)

    @property
    def address(self) -> str:
        """Asked of the kernel, so that nobody has to remember it."""
        return descriptors.peer_address(self._fd)

    def _is_open(self) -> bool:
        """The number may have gone to another viewer."""
        return self._broadcast.is_heard(self._fd, self._listener)
