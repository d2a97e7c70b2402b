"""How many watch a stream: each fanout tells its own number on ``viewers.<stream_id>``, all add up what they hear."""

from collections.abc import Callable

EXPIRES_S = 10.0
"""An instance that has not been heard for so long counts no more."""
FANOUT_HEADER = "Livecomments-Fanout"
"""Names the instance; the payload is a ViewerReport."""


def viewers_subject(stream_id: str) -> str:
    return f"viewers.{stream_id}"


class Tally:
    """Viewers of many streams, as the instances report them every 2 s; the dead count for EXPIRES_S more."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reports: dict[str, dict[str, tuple[int, float]]] = {}

    def report(self, stream_id: str, instance: str, viewers: int) -> None:
        if viewers > 0:
            self._reports.setdefault(stream_id, {})[instance] = (viewers, self._clock() + EXPIRES_S)
        elif (reports := self._reports.get(stream_id)) is not None:
            reports.pop(instance, None)

    def viewers(self, stream_id: str) -> int:
        """The sum over the instances heard within EXPIRES_S."""
        reports = self._reports.get(stream_id)
        if reports is None:
            return 0
        now = self._clock()
        for instance in [instance for instance, (_, expires) in reports.items() if expires <= now]:
            del reports[instance]
        if not reports:
            del self._reports[stream_id]
        return sum(viewers for viewers, _ in reports.values())
