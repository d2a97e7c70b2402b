"""Times as people write them at a terminal."""

import re

from livecomments.cli import CommandError

_UNITS_S = {"s": 1, "m": 60, "h": 3600}
_SPAN = re.compile(r"([0-9]{1,6})([smh])")
_PLACE = re.compile(r"(?:(?:([0-9]{1,3}):)?([0-9]{1,2}):)?([0-9]{1,6}(?:\.[0-9]{1,3})?)")


def span_s(text: str) -> int | None:
    """``90s``, ``10m`` or ``2h`` as seconds; None for what is no such thing."""
    match = _SPAN.fullmatch(text)
    return int(match[1]) * _UNITS_S[match[2]] if match else None


def place_s(text: str) -> float:
    """A place in a recording, ``75``, ``1:15`` or ``0:01:15``, as seconds; raises CommandError."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise CommandError(f"{text!r} is no time: write 75, 1:15 or 0:01:15", 2)
    return int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + float(match[3])


def clock_of(ms: int) -> str:
    """A place in a recording, as its player shows it."""
    minutes, seconds = divmod(max(0, ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
