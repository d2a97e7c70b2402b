"""How long to wait before trying again."""

import random
from collections.abc import Callable


class Backoff:
    """Pauses that double from ``first_s`` up to ``most_s`` seconds, each between half and all of that.

    The jitter keeps those who lost the same server from coming back in the same moment.
    """

    def __init__(
        self, first_s: float = 0.1, most_s: float = 5.0, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._uniform = uniform
        self._next_s = first_s

    def next_s(self, least_s: float = 0.0) -> float:
        """The next pause, seconds; at least ``least_s``, which is jittered upwards."""
        pause = self._next_s
        self._next_s = min(self._next_s * 2, self._most_s)
        return max(self._uniform(pause / 2, pause), self._uniform(least_s, least_s * 1.5))

    def reset(self) -> None:
        """Begins again at ``first_s``: the last try went well."""
        self._next_s = self._first_s
