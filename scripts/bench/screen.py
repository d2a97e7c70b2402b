"""From a post over HTTP until it is on the viewers' screens, through the whole system on this machine.

    scripts/bench/screen --seconds 8

Counts from when a post was due. Storage writes along, fsync is on. The edge has the first core for itself, everything
else, the viewers too, shares the last one.
"""

from argparse import Namespace

import rounds
from feeding import feed
from whole import Whole

_CASES = (5_000, 100), (100, 20)
"""Viewers, and how long a window is, ms."""
_RATE = 20
_TEXT_SIZE = 80


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    for viewers, window_ms in _CASES:
        with Whole(window_ms) as server:
            fed = feed(server, viewers, _RATE, options.seconds, _TEXT_SIZE)
        yield (
            f"{viewers:,} viewers, {window_ms} ms windows",
            {
                "p50 ms": fed.seen.percentile_ms(0.5),
                "p99 ms": fed.seen.percentile_ms(0.99),
                "core busy": fed.cpu_s / fed.seconds,
                "waited s": fed.waited_s,
                "faults": fed.faults,
            },
        )


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, seconds=8.0).parse_args()
    rounds.run(options.rounds, f"Post to screen, {_RATE} comments/s", lambda: measure(options))


if __name__ == "__main__":
    main()
