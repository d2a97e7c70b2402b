"""When viewers have to go: connections are renewed after a time, and end with their tokens. Pure.

Renewal spreads viewers anew over the edges that there are by then, and the jitter keeps those who came together from
coming back together.
"""

import math
from enum import Enum
from typing import NamedTuple

JITTER = 0.1
"""How far the age of a connection may be off, either way."""


class Ending(Enum):
    """Why a viewer has to go."""

    AGE = "age"
    TOKEN = "token"  # noqa: S105 (a reason, not a token)


class Stay(NamedTuple):
    """How long a viewer may stay."""

    until: float
    """Seconds, on the clock that it was made with; infinite for ever."""
    ending: Ending


FOREVER = Stay(math.inf, Ending.AGE)


def stay_from(now: float, max_age_s: float, token_left_s: float, chance: float) -> Stay:
    """The stay of a viewer that comes ``now``: until its token ends or its connection is too old.

    ``max_age_s`` 0 lets it grow old; ``token_left_s`` is infinite without a token; ``chance`` is from 0 to 1.
    """
    age_s = max_age_s * (1 + JITTER * (2 * chance - 1)) if max_age_s else math.inf
    return Stay(now + token_left_s, Ending.TOKEN) if token_left_s <= age_s else Stay(now + age_s, Ending.AGE)


class Departures:
    """Who has to go when, to the second, by any number that stands for a viewer; about 120 bytes each."""

    def __init__(self, now: float) -> None:
        self._next = math.floor(now)
        self._seconds: dict[int, int] = {}
        self._leaving: dict[int, dict[int, Ending]] = {}
        """By the second."""

    def __len__(self) -> int:
        return len(self._seconds)

    def plan(self, viewer: int, planned: Stay) -> None:
        """Once for each viewer, until it is forgotten or due."""
        if planned.until < math.inf:
            second = max(self._next, math.ceil(planned.until))
            self._seconds[viewer] = second
            self._leaving.setdefault(second, {})[viewer] = planned.ending

    def forget(self, viewer: int) -> None:
        """It has gone by itself; does nothing for one that is not known."""
        second = self._seconds.pop(viewer, None)
        if second is not None:
            leaving = self._leaving[second]
            del leaving[viewer]
            if not leaving:
                del self._leaving[second]

    def due(self, now: float) -> dict[int, Ending]:
        """Those whose time has come since this was asked before, and forgets them."""
        due: dict[int, Ending] = {}
        while self._next <= now:
            due |= self._leaving.pop(self._next, {})
            self._next += 1
        for viewer in due:
            del self._seconds[viewer]
        return due
