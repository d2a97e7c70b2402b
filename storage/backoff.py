"""Waiting longer after each failure."""

import random

_FIRST_S = 0.1
_MAX_S = 5.0


class Backoff:
    """How long to wait after one more failure: doubling from 0.1 s to 5 s, each by half its length at random."""

    def __init__(self) -> None:
        self._ceiling_s = _FIRST_S

    def next_s(self) -> float:
        """Seconds to wait now, between half the ceiling and the ceiling."""
        wait_s = self._ceiling_s * random.uniform(0.5, 1.0)
        self._ceiling_s = min(_MAX_S, self._ceiling_s * 2)
        return wait_s

    def reset(self) -> None:
        """Something worked."""
        self._ceiling_s = _FIRST_S
