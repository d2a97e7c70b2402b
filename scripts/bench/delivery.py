"""The figures of the delivery engine, all of them, beside what is to be reached: docs/benchmarks.

    scripts/bench/delivery               one quick round, about 6 minutes
    scripts/bench/delivery --rounds 5    for the record, on a machine with nothing else to do
    scripts/bench/delivery --only joins,memory --into /tmp/figures

Runs each of the other commands' measurements in turn, round after round, and writes JSON, a page in Markdown and a
plot. A part that fails is told and left out; what was not measured is said so. With several rounds each figure is
min / median / max, and the median is judged.
"""

import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

import cpu_per_write
import deliveries
import egress
import joins
import largest
import memory
import report
import rounds
import screen
import sustained
from native import REPOSITORY

_CASES = (1_000, 100.0), (5_000, 20.0)
_PARTS: Mapping[str, Callable[[Namespace], rounds.Round]] = {
    "cpu_per_write": lambda asked: cpu_per_write.measure(_with(asked, viewers=5_000)),
    "deliveries": lambda asked: deliveries.measure(asked, _CASES),
    "joins": lambda asked: joins.measure(_with(asked, viewers=10_000, present=1_000)),
    "memory": lambda asked: memory.measure(_with(asked, viewers=10_000)),
    "egress": lambda asked: egress.measure(_with(asked, viewers=200)),
    "screen": screen.measure,
    "sustained": lambda asked: sustained.measure(_with(asked, viewers=1_000)),
    "largest": largest.measure,
}


def measure(options: Namespace, parts: list[str]) -> rounds.Round:
    """One round of the parts."""
    for part in parts:
        try:
            yield from _PARTS[part](options)
        except (Exception, SystemExit) as error:
            if isinstance(error, SystemExit) and isinstance(error.code, int):
                raise  # told to stop
            traceback.print_exc()
            print(f"{part} could not be measured: {error}", file=sys.stderr, flush=True)


def main() -> None:
    """The command."""
    parser = rounds.arguments(__doc__, seconds=4.0)
    parser.set_defaults(rounds=1)
    parser.add_argument("--only", default=",".join(_PARTS), help=f"parts, separated by commas ({','.join(_PARTS)})")
    parser.add_argument("--into", type=Path, default=REPOSITORY / "docs" / "benchmarks", help="folder for the results")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(_PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    measured = rounds.collect(options.rounds, lambda: measure(options, parts))
    written = report.write(measured, options.into)
    print("\n".join(report.goals_table(measured)))
    if measured.was_busy:
        print(f"\n{rounds.busy_line(measured)}")
    print("\nWritten:", *written)


def _with(asked: Namespace, **more: int) -> Namespace:
    return Namespace(**vars(asked), **more)


if __name__ == "__main__":
    main()
