"""What readers are shown of a stream: the position and the stream's row, read before comments and known for a while.

Either costs a server and the driver as much as fifty comments do: a seek that asked for both anew would spend more on
them than on what it brings.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from livecomments.cursor import Cursor
from storage.cql.bridge import Row
from storage.cql.positions import Position

KNOWN_S = 1.0
"""How long a view is used: by so much a full page may say less than it could of the log and the stream's end."""
_KNOWN_MAX = 10_000


@dataclass(frozen=True, slots=True)
class StreamRow:
    """What is known of a stream as a whole: nothing of it at first."""

    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    ended_epoch: str | None = None
    ended_seq: int | None = None

    def is_behind_end(self, epoch: str, seq: int) -> bool:
        return self.ended_seq is not None and epoch == self.ended_epoch and seq > self.ended_seq


def stream_row_of(rows: list[Row]) -> StreamRow:
    return StreamRow(*rows[0]) if rows else StreamRow()


@dataclass(frozen=True, slots=True)
class View:
    """What readers are shown: the log up to the position, though some rows of what follows may be there, too."""

    position: Position | None
    stream: StreamRow

    @property
    def through(self) -> Cursor | None:
        return None if self.position is None else self.position.cursor

    @property
    def ended(self) -> bool:
        epoch, seq = self.stream.ended_epoch, self.stream.ended_seq
        return epoch is not None and seq is not None and self._is_complete(epoch, seq)

    def shows(self, epoch: str, seq: int) -> bool:
        return self._is_complete(epoch, seq) and not self.stream.is_behind_end(epoch, seq)

    def _is_complete(self, epoch: str, seq: int) -> bool:
        return self.position is None or self.position.has(epoch, seq)


class Views:
    """The views that were read lately, by stream.

    Read along the log, a page that one of them fills is the page that the newest would give: what it does not show
    stands behind. One that it does not fill must be read with a new view, unless the stream has ended.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: s."""
        self._clock = clock
        self._known: dict[tuple[int, str], tuple[float, View]] = {}

    def now(self) -> float:
        """To be asked before a view is read, and told with it."""
        return self._clock()

    def find(self, shard: int, stream_id: str) -> View | None:
        """None when none was kept, or it is too old."""
        asked_at, view = self._known.get((shard, stream_id), (0.0, None))
        return view if self._clock() - asked_at < KNOWN_S else None

    def keep(self, shard: int, stream_id: str, view: View, asked_at: float) -> None:
        """Keeps a view that was worth it; one without a position never is."""
        if view.position is not None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[shard, stream_id] = asked_at, view

    def drop(self, shard: int, stream_id: str) -> None:
        """Forgets a view that did not do."""
        self._known.pop((shard, stream_id), None)
