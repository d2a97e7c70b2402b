"""One edge of several processes: what each of them knows of itself and of the others.

``python -m edge --workers N`` runs a parent (``edge.parent``), which watches N workers (``edge.worker``). Worker k has
a succession of processes: when one dies, or is renewed, the next takes its place and serves the same listening socket,
which the parent owns. So each *process* has a name of its own, ``<worker>.<turn>``: ``2.0`` is worker 2's first one.
An edge without a parent is ``0.0``.

What belongs to one process alone, as a session does, carries that name, and a call that lands at another process is
passed on (``edge.passing``): each listens at an inner address, a unix socket in a folder that the parent has made for
them and nobody else can enter. There it answers plain HTTP/1.1, with the same application as at its public address, and
it does so until it ends, also while it drains. A name is never given twice, so a call never reaches a successor, which
would know nothing of what is asked for: the address is gone with its process.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

_NAME = re.compile(r"[0-9]{1,3}\.[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Workers:
    """One process among the others."""

    name: str = "0.0"
    """This process's own; ``Edge.workers.name`` is what the id of a session begins with."""
    folder: Path | None = None
    """Where the inner addresses are; None when there are no others."""

    @property
    def own_address(self) -> Path | None:
        """Where this process listens for what others pass on; None when there are no others."""
        return None if self.folder is None else self.folder / self.name

    def address(self, name: str) -> Path | None:
        """Where a process listens that was named by anyone: it may have ended long since, or have never been.

        None when it is this one, when there are no others, and for what is no name.
        """
        if self.folder is None or name == self.name or not _NAME.fullmatch(name):
            return None
        return self.folder / name


ALONE = Workers()


class Stage(StrEnum):
    """How far a process has come. Each is told once, in this order; ``READY`` may be left out."""

    SERVING = "serving"
    """It accepts connections."""
    READY = "ready"
    """It has reached the services behind it: a viewer may be sent here."""
    DRAINING = "draining"
    """It accepts no more, and lets everyone go."""


class Place(msgspec.Struct, frozen=True):
    """What the parent hands a new worker process: its name, and descriptors that it inherits."""

    name: str
    folder: str
    listener: int
    """Listens for viewers."""
    tls_listener: int | None
    """The same over TLS."""
    metrics: int
    """Listens for Prometheus."""
    report: int
    """Where it writes the stages that it reaches, a line each."""
