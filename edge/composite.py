"""The cursor of a session: a place in each of its streams, in one text. Pure.

The text is ``<begun streams>``, one group for each epoch, opaque to clients: ``c~e1.a:5.b:7~e2.d:3`` has seen ``a`` up
to 5 and ``b`` up to 7 of the log ``e1``, ``d`` up to 3 of ``e2``, and watches ``c``, of which nothing was shown yet. So
an epoch, the longest part, stands once for all streams of one log. A session without streams is ``~``, never empty: an
EventSource forgets its cursor when it is told an empty one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from sys import intern

from livecomments.cursor import BadCursor, Cursor

LENGTH_MAX = 12 * 1024
"""Bytes: it comes back in a header, and 16 KiB hold a request's whole head."""

Places = Mapping[str, Cursor | None]
"""By stream id; None where nothing was shown yet."""

_STREAM = r"[A-Za-z0-9_-]{1,64}"
_STREAMS = re.compile(rf"{_STREAM}(?:\.{_STREAM})*", re.ASCII)
_GROUP = re.compile(rf"([a-z0-9]{{1,32}})((?:\.{_STREAM}:[0-9]{{1,20}})+)", re.ASCII)


@dataclass(frozen=True)
class CompositeCursor:
    """A place in each of a session's streams. There is one text for each value: streams and epochs are sorted."""

    places: Places

    def __str__(self) -> str:
        return b"".join(_written(self.places).values()).decode()

    @classmethod
    def parse(cls, text: str) -> "CompositeCursor":
        """Raises BadCursor for what ``str`` does not write."""
        if len(text) > LENGTH_MAX:
            raise BadCursor("a cursor is shorter")
        begun, *groups = text.split("~")
        if begun and _STREAMS.fullmatch(begun) is None:
            raise BadCursor("not a cursor")
        places: dict[str, Cursor | None] = dict.fromkeys(begun.split(".") if begun else ())
        for group in groups if groups != [""] else ():
            match = _GROUP.fullmatch(group)
            if match is None:
                raise BadCursor("not a cursor")
            for entry in match[2][1:].split("."):
                stream_id, _, seq = entry.partition(":")
                places[stream_id] = Cursor.parse(f"{match[1]}-{seq}")
        found = cls(places)
        # A stream that stands twice, other orders, and no group at all: none of them comes back as it was.
        if str(found) != text:
            raise BadCursor("not a cursor")
        return found


class MovingCursor:
    """A composite cursor that moves with each event that is shown. Not for several threads."""

    __slots__ = ("_places", "_written")

    def __init__(self, places: Places) -> None:
        self._places = dict(places)
        self._written = _written(self._places)

    def __contains__(self, stream_id: str) -> bool:
        return stream_id in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def text(self) -> bytes:
        """As CompositeCursor writes it."""
        return b"".join(self._written.values())

    def move(self, stream_id: str, place: bytes) -> bytes:
        """The text once a stream has been shown up to ``place``, a cursor's text."""
        epoch, _, seq = place.decode().rpartition("-")
        before = self._places[stream_id]
        self._places[stream_id] = Cursor(intern(epoch), int(seq))
        if before is not None and before.epoch == epoch:
            # All others stand where they stood: with 50 streams a thirtieth of the work.
            self._written[stream_id] = _entry(stream_id, seq)
        else:
            self._written = _written(self._places)
        return self.text()

    def add(self, stream_id: str) -> None:
        """One more stream, of which nothing was shown yet."""
        self._places[stream_id] = None
        self._written = _written(self._places)

    def drop(self, stream_id: str) -> None:
        """A stream is not watched any more."""
        del self._places[stream_id]
        self._written = _written(self._places)


def _written(places: Places) -> dict[str, bytes]:
    """The text in pieces, in order: one for each stream, by its id, and what stands before them."""
    begun = sorted(stream_id for stream_id, cursor in places.items() if cursor is None)
    pieces = {stream_id: (b".%b" if number else b"%b") % stream_id.encode() for number, stream_id in enumerate(begun)}
    if len(begun) == len(places):
        pieces[_MARK] = _MARK.encode()
    shown = sorted((cursor.epoch, stream_id, cursor.seq) for stream_id, cursor in places.items() if cursor is not None)
    for epoch, entries in groupby(shown, key=lambda place: place[0]):
        pieces[_MARK + epoch] = f"{_MARK}{epoch}".encode()
        pieces |= {stream_id: _entry(stream_id, str(seq)) for _, stream_id, seq in entries}
    return pieces


_MARK = "~"
"""Stands before each group, and begins the keys of pieces that are no stream's."""


def _entry(stream_id: str, seq: str) -> bytes:
    return f".{stream_id}:{seq}".encode()
