"""What became of some posts."""

from collections.abc import Sequence
from dataclasses import dataclass

from percentiles import percentile


@dataclass(frozen=True)
class Answers:
    """Of one run."""

    posts: int
    seconds: float
    """From when the first was due until the last answer, or until no more were waited for."""
    late_ms: Sequence[float]
    """From when it was due until its answer, of each that was accepted; rising."""

    @property
    def accepted(self) -> int:
        return len(self.late_ms)

    @property
    def per_s(self) -> float:
        """Accepted."""
        return self.accepted / self.seconds

    @property
    def faults(self) -> int:
        """Posts that were refused, or had no answer."""
        return self.posts - self.accepted

    def percentile_ms(self, share: float) -> float:
        """Not a number where nothing was accepted."""
        return percentile(self.late_ms, share)
