"""How many bytes a viewer is sent for the same comments, plain and compressed.

    scripts/bench/egress --viewers 200 --seconds 6

Texts are words drawn at random, and authors differ: real talk, which repeats itself, is compressed better. The edge's
CPU time is told, too: compressing happens once for all viewers.
"""

import time
from argparse import Namespace

import machine
import rounds
from feeding import SETTLE_S
from load import Load
from ours import Ours

_RATE = 50
_TEXT_SIZE = 70


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    each: list[float] = []
    for way in ("SSE", "SSE gzip"):
        with Ours(options.profile) as server, Load(server.port, server.requests[way], options.viewers) as load:
            load.open(options.viewers)
            time.sleep(SETTLE_S)
            load.begin()
            cpu_s = machine.cpu_seconds(server.pids)
            published = server.publish(_RATE, options.seconds, _TEXT_SIZE)
            time.sleep(SETTLE_S)
            cpu_s = machine.cpu_seconds(server.pids) - cpu_s
            each.append(load.report().read_bytes / options.viewers / published)
        yield way, {"bytes a comment and viewer": each[-1], "CPU µs a comment": cpu_s / published * 1e6}
    yield "plain / gzip", {"bytes a comment and viewer": each[0] / each[1]}


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, viewers=200, seconds=6.0).parse_args()
    rounds.run(options.rounds, f"Egress, {_RATE} comments/s", lambda: measure(options))


if __name__ == "__main__":
    main()
