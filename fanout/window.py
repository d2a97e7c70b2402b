"""When a topic's events leave: the first after a quiet moment at once, then at most one window in each interval.

Plain code: it is given times and reads no clock.
"""

from fanout.messages import LogMessage


class Gatherer:
    """Gathers a topic's messages into windows."""

    def __init__(self, every_s: float, max_bytes: int) -> None:
        """A window leaves every ``every_s`` seconds at most, earlier only when it holds ``max_bytes``."""
        self._every_s = every_s
        self._max_bytes = max_bytes
        self._messages: list[LogMessage] = []
        self._size = 0
        self._quiet_from = float("-inf")

    def add(self, message: LogMessage) -> None:
        self._messages.append(message)
        self._size += len(message.encoded)

    def due_at(self) -> float | None:
        """When the next window must leave, in seconds of the caller's clock; None while nothing waits."""
        if not self._messages:
            return None
        return float("-inf") if self._size >= self._max_bytes else self._quiet_from

    def take(self, now: float) -> list[LogMessage]:
        """What has gathered; the next window leaves ``every_s`` after ``now``."""
        taken, self._messages, self._size = self._messages, [], 0
        self._quiet_from = now + self._every_s
        return taken
