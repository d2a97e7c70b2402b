"""Random visitors of a running edge: requests and frames that are damaged, split, pipelined or oversized.

    scripts/bench/fuzz --seconds 60

The generators of tests/fuzz, for as long as one likes. After every few visits all who watch must have been shown a new
comment, the process must be the same, and its log free of errors; at the end no descriptor may be left. Ends with 1 and
the visits that came last when anything of that does not hold.
"""

import argparse
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from native import REPOSITORY

sys.path.insert(0, str(REPOSITORY))

from tests.fuzz.fuzzed import Fuzzed
from tests.fuzz.visits import Visit, visits
from tests.system import System

_PER_SEED = 100
_PER_CHECK = 40


def fuzz(fuzzed: Fuzzed, first_seed: int, seconds: float) -> int:
    """Visits for so long; returns the seed that was used last. Raises AssertionError as soon as anything breaks."""
    deadline = time.monotonic() + seconds
    for number in count(first_seed):
        _visit(fuzzed, number, deadline)
        if time.monotonic() >= deadline:
            break
    return number


def _visit(fuzzed: Fuzzed, number: int, deadline: float) -> None:
    @seed(number)
    @given(st.lists(visits, min_size=_PER_CHECK // 2, max_size=_PER_CHECK))
    @settings(
        max_examples=_PER_SEED,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def some(found: list[Visit]) -> None:
        if time.monotonic() < deadline:
            fuzzed.visit(found)

    print(f"seed {number}", file=sys.stderr, flush=True)
    some()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long (60)")
    parser.add_argument("--seed", type=int, default=0, help="where to begin: the same seed brings the same visits (0)")
    options = parser.parse_args()
    limits = {"core_user_rate": "0", "edge_address_rate": "0"}
    broken = ""
    with tempfile.TemporaryDirectory() as folder, System(Path(folder), **limits) as system, Fuzzed(system) as fuzzed:
        began = time.monotonic()
        try:
            last_seed = fuzz(fuzzed, options.seed, options.seconds)
            fuzzed.assert_nothing_is_left()
        except AssertionError as error:
            broken = "\n".join([str(error), "the visits that came last:", *map(str, fuzzed.latest)])
        took_s = time.monotonic() - began
        print(f"{fuzzed.visits:,} visits in {took_s:.0f} s, {fuzzed.visits / took_s:,.0f} a second")
        print("answered at once: " + ", ".join(f"{status} {n:,}" for status, n in sorted(fuzzed.statuses.items())))
    if broken:
        sys.exit(f"SOMETHING BROKE: {broken}")
    print(f"nothing broke; for others, begin with --seed {last_seed + 1}")


if __name__ == "__main__":
    main()
