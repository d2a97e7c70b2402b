"""The figures of the delivery engine, all of them, beside what is to be reached: docs/benchmarks.

    scripts/bench/delivery               one quick round, about 6 minutes
    scripts/bench/delivery --rounds 5    for the record, on a machine with nothing else to do
    scripts/bench/delivery --only joins,memory --into /tmp/figures

Runs each of the other commands' measurements in turn, round after round, and writes JSON, a page in Markdown and a
plot. A part that fails is told and left out; what was not measured is said so. With several rounds each figure is
min / median / max, and the median is judged.
"""

from argparse import Namespace

import cpu_per_write
import deliveries
import egress
import joins
import largest
import memory
import screen
import suite
import sustained
from goals import DELIVERY

_CASES = (1_000, 100.0), (5_000, 20.0)
_PARTS: suite.Parts = {
    "cpu_per_write": lambda asked: cpu_per_write.measure(_with(asked, viewers=5_000)),
    "deliveries": lambda asked: deliveries.measure(asked, _CASES),
    "joins": lambda asked: joins.measure(_with(asked, viewers=10_000, present=1_000)),
    "memory": lambda asked: memory.measure(_with(asked, viewers=10_000)),
    "egress": lambda asked: egress.measure(_with(asked, viewers=200)),
    "screen": screen.measure,
    "sustained": lambda asked: sustained.measure(_with(asked, viewers=1_000)),
    "largest": largest.measure,
}


def main() -> None:
    """The command."""
    suite.run(DELIVERY, __doc__, _PARTS)


def _with(asked: Namespace, **more: int) -> Namespace:
    return Namespace(**vars(asked), **more)


if __name__ == "__main__":
    main()
