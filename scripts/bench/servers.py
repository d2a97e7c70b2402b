"""What is measured: our edge, and the peers that are installed."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import nchan
from nchan import Nchan
from ours import Ours


class Server(Protocol):
    """A running server with one stream, ours or a peer's."""

    name: str
    port: int

    @property
    def pids(self) -> Sequence[int]:
        """The processes whose CPU time and memory count."""

    @property
    def requests(self) -> Mapping[str, bytes]:
        """What a viewer asks, by the way in which it watches: "SSE", "WebSocket"."""

    def rounds(self) -> int:
        """How often it has written to all its viewers so far."""

    def publish(self, rate: float, seconds: float, text_size: int) -> int:
        """Posts comments with texts of a size at a rate, and returns how many there were."""


def start(name: str, profile: Path | None = None) -> AbstractContextManager[Server]:
    """A fresh one; ``profile`` is where cProfile writes what ours did."""
    return Ours(profile) if name == Ours.name else Nchan()


def names() -> list[str]:
    """Ours, and the peers that are installed here."""
    return [Ours.name, *([Nchan.name] if nchan.find() else [])]
