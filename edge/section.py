"""One section of a broadcast: where each of its viewers stands between two rounds."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import trio

from edge.expiry import FOREVER, Ending, Stay
from edge.hearing import Listener

if TYPE_CHECKING:
    from edge.broadcast import Broadcast


def one_in(share: int, count: int) -> int:
    """How many one in ``share`` of ``count`` are, by chance where it does not come out even; all of them for 1.

    Rounded, the viewers of ten thousand small streams would all be among the first to go, or the last.
    """
    return int(count / share + random.random())


class Backlog:
    """What one viewer has not taken yet, at most ``bound`` bytes."""

    __slots__ = ("bound", "is_last", "parts", "size")

    def __init__(self, bound: int) -> None:
        self.parts: deque[bytes] = deque()
        self.size = 0
        self.bound = bound
        self.is_last = False
        """Close when it is taken."""


@dataclass(frozen=True, slots=True)
class Farewells:
    """The last bytes for one that is sent away, framed; empty where there is no word for it."""

    too_slow: bytes = b""
    aged: Callable[[], bytes] = bytes
    """Made for each, as each comes back at another time."""
    expired: bytes = b""

    def for_(self, ending: Ending) -> bytes:
        """Those for one whose time has come."""
        return self.aged() if ending is Ending.AGE else self.expired


class Arrival(NamedTuple):
    """A descriptor that becomes a viewer. It must be non-blocking, and is closed by the broadcast from then on.

    Nobody else may write to it, or read where there is a listener.
    """

    fd: int
    section: "Section"
    first: bytes
    """What it is given to begin with; then comes all that is pushed from now on."""
    stay: Stay = FOREVER
    listener: Listener | None = None
    """Hears what it sends; without one it is not read."""


class Section:
    """The viewers of one stream that take the same bytes, or the one viewer that takes bytes of its own."""

    def __init__(
        self,
        broadcast: "Broadcast",
        heartbeat: bytes,
        farewells: Farewells | None = None,
        emptied: Callable[[], None] | None = None,
    ) -> None:
        """``emptied`` is called whenever the last viewer has gone."""
        self._broadcast = broadcast
        self._emptied = emptied
        self.heartbeat = heartbeat
        self.farewells = farewells or Farewells()
        self.fds: dict[int, None] = {}
        """Those that take each round at once."""
        self.behind: dict[int, Backlog] = {}
        self.entering: dict[int, int] = {}
        """Those that came while a round was due or under way, and how much of ``pending`` each has seen."""
        self.pending: list[bytes] = []
        self.written_at = trio.current_time()
        self.allowance = 0
        """Bytes that may wait for one of them over the bound that holds for all."""
        self.is_due = False
        self.is_ending = False

    def __len__(self) -> int:
        return len(self.fds) + len(self.behind) + len(self.entering)

    def push(self, data: bytes) -> None:
        """Queues bytes for everyone who is here now."""
        if len(self):
            self.pending.append(data)
            self._broadcast.schedule(self)

    def seat(self, fd: int, first: bytes, listener: Listener | None = None, stay: Stay = FOREVER) -> None:
        """Takes one descriptor in; see Arrival."""
        self._broadcast.seat([Arrival(fd, self, first, stay, listener)])

    def enter(self, fd: int) -> None:
        """Takes a descriptor in, which is given all that is pushed from now on."""
        if self.pending or self._broadcast.is_writing(self):
            self.entering[fd] = len(self.pending)
        else:
            self.fds[fd] = None

    def enter_all(self) -> None:
        """Those who came meanwhile take part in the next round."""
        for fd in self.entering:
            if fd not in self.behind:
                self.fds[fd] = None
        self.entering.clear()

    def leave(self, fd: int) -> None:
        """A descriptor is about to be closed."""
        self.fds.pop(fd, None)
        self.behind.pop(fd, None)
        self.entering.pop(fd, None)
        self.tell_if_empty()

    def tell_if_empty(self) -> None:
        """Says so, where somebody has asked for it."""
        if self._emptied is not None and not len(self):
            self._emptied()

    def end(self, farewell: bytes) -> None:
        """Everyone's last bytes; they are closed once they have taken them."""
        self.is_ending = True
        if len(self):
            self.pending.append(farewell)
            self._broadcast.schedule(self)

    def dismiss(self, share: int, farewell: bytes) -> None:
        """Sends one in ``share`` away of those that stay so far."""
        # Those that are behind or entering, too: nobody may be left over.
        behind = (fd for fd, backlog in self.behind.items() if not backlog.is_last)
        everyone = dict.fromkeys((*self.fds, *self.entering, *behind))
        staying = [fd for fd in everyone if not self._broadcast.is_parting(fd)]
        for fd in staying[: one_in(share, len(staying))]:
            self._broadcast.part(fd, farewell)
