"""The largest audience that one edge process holds: ten rounds a second to more and more viewers.

    scripts/bench/largest --seconds 5

Held: p99 within 500 ms, nothing missing, nobody cut off. The descriptor limit of the machine bounds it, too.
"""

from argparse import Namespace

import machine
import rounds
from feeding import feed
from ours import Ours
from sustained import LATE_MS

_AUDIENCES = 5_000, 10_000, 14_000, 18_000
_ROUNDS_PER_S = 10
_TEXT_SIZE = 80
_OTHER_DESCRIPTORS = 200


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    largest = 0
    for viewers in _AUDIENCES:
        if viewers > machine.descriptors() - _OTHER_DESCRIPTORS:
            break
        with Ours(options.profile) as server:
            fed = feed(server, viewers, _ROUNDS_PER_S, options.seconds, _TEXT_SIZE)
        p99_ms = fed.seen.percentile_ms(0.99)
        yield (
            f"{viewers:,} viewers",
            {
                "p50 ms": fed.seen.percentile_ms(0.5),
                "p99 ms": p99_ms,
                "rounds/s": fed.rounds / fed.seconds,
                "core busy": fed.cpu_s / fed.seconds,
                "waited s": fed.waited_s,
                "faults": fed.faults,
            },
        )
        if fed.faults or p99_ms > LATE_MS:
            break
        largest = viewers
    yield "largest", {"viewers": largest}


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, seconds=5.0).parse_args()
    rounds.run(options.rounds, f"Audiences at {_ROUNDS_PER_S} comments/s", lambda: measure(options))


if __name__ == "__main__":
    main()
