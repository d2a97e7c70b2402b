"""What is to be reached, and where the figures for it stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Place = tuple[str, str]
"""A row and a column of what was measured."""


@dataclass(frozen=True)
class Goal:
    """One line of the table."""

    what: str
    reach: float
    is_most: bool
    """Whether the figure may be ``reach`` at most; else at least."""
    ours: Place
    beside: Mapping[str, Place] = field(default_factory=dict)
    """What else was measured in the same run, by the name of its column."""
    peers: str = ""
    """Under which name ``peers.json`` has what was measured of others earlier."""

    def is_met(self, figure: float) -> bool:
        """Whether a figure of ours reaches it."""
        return figure <= self.reach if self.is_most else figure >= self.reach


@dataclass(frozen=True)
class Subject:
    """What a page of results is about."""

    name: str
    """Of the files, and of the command in this folder that writes them."""
    title: str
    goals: Sequence[Goal]
    beside: Sequence[str]
    """Columns of what else was measured, in order."""


def at_most(what: str, reach: float, ours: Place, beside: Mapping[str, Place] | None = None, peers: str = "") -> Goal:
    """Less is better."""
    return Goal(what, reach, True, ours, beside or {}, peers)


def at_least(what: str, reach: float, ours: Place, beside: Mapping[str, Place] | None = None, peers: str = "") -> Goal:
    """More is better."""
    return Goal(what, reach, False, ours, beside or {}, peers)


_WRITE, _RSS, _PER_CPU_S, _JOINS = "CPU µs a write", "RSS KiB a viewer", "deliveries/CPU-s", "joins/CPU-s"
_HUNDRED, _TWENTY = "1,000 x 100/s", "5,000 x 20/s"

_GOALS = (
    at_most("CPU of one write to one viewer, 5,000 viewers, 300 B: times the C loop's", 1.4, ("ours / C loop", _WRITE)),
    at_most(
        "memory (RSS) of one idle viewer at 10,000, SSE, KiB", 0.5,
        ("ours SSE", _RSS), {"nchan": ("nchan SSE", _RSS)}, peers="KiB a viewer",
    ),
    at_most(
        "the same over WebSocket, KiB", 0.5,
        ("ours WebSocket", _RSS), {"nchan": ("nchan WebSocket", _RSS)},
    ),
    at_least(
        "deliveries per CPU-second of the edge, 1,000 viewers x 100/s", 1_000_000,
        (f"{_HUNDRED} ours", _PER_CPU_S),
        {"C loop": (f"{_HUNDRED} C loop", _PER_CPU_S), "nchan": (f"{_HUNDRED} nchan", _PER_CPU_S)},
        peers="deliveries per CPU-second, 1,000 x 100/s",
    ),
    at_least("the same, times nchan's", 6, (f"{_HUNDRED} ours : nchan", _PER_CPU_S)),
    at_least(
        "the same, 5,000 viewers x 20/s, times nchan's", 2, (f"{_TWENTY} ours : nchan", _PER_CPU_S),
    ),
    at_least(
        "most deliveries/s sustained by one edge core, 1,000 viewers, p99 ≤ 500 ms", 5_000_000,
        ("ours: most", "deliveries/s"), {"nchan": ("nchan: most", "deliveries/s")}, peers="deliveries/s sustained",
    ),
    at_most(
        "feed alone (log to screen), 5,000 x 20/s: p50 ms", 90,
        (f"{_TWENTY} ours", "p50 ms"), {"nchan": (f"{_TWENTY} nchan", "p50 ms")}, peers="feed p50 ms, 5,000 x 20/s",
    ),
    at_most(
        "feed alone (log to screen), 5,000 x 20/s: p99 ms", 200,
        (f"{_TWENTY} ours", "p99 ms"), {"nchan": (f"{_TWENTY} nchan", "p99 ms")}, peers="feed p99 ms, 5,000 x 20/s",
    ),
    at_most("post to screen, 5,000 viewers, 20/s: p50 ms", 110, ("5,000 viewers, 100 ms windows", "p50 ms")),
    at_most("the same: p99 ms", 250, ("5,000 viewers, 100 ms windows", "p99 ms")),
    at_most("the same, 100 viewers, 20 ms windows: p50 ms", 40, ("100 viewers, 20 ms windows", "p50 ms")),
    at_least("egress at 50/s, plain to gzip", 2.3, ("plain / gzip", "bytes a comment and viewer")),
    at_least(
        "joins per CPU-second of the edge, 2 KB snapshot each", 20_000,
        ("ours: joins", _JOINS), {"C loop": ("C loop: joins", _JOINS), "nchan": ("nchan: joins", _JOINS)},
        peers="joins per CPU-second",
    ),
    at_least("largest audience held at 10 rounds/s, p99 ≤ 500 ms", 10_000, ("largest", "viewers")),
    at_most(
        "10,000 joins at once: p99 ms of those who are there", 500,
        ("ours: storm", "p99 ms meanwhile"), {"nchan": ("nchan: storm", "p99 ms meanwhile")},
    ),
    at_most(
        "the same: joiners that are not let in", 0,
        ("ours: storm", "not let in"), {"nchan": ("nchan: storm", "not let in")},
    ),
)  # fmt: skip

DELIVERY = Subject("delivery", "Delivery, measured", _GOALS, ("C loop", "nchan"))
