"""CPU time for one write to one viewer: our edge, the bare C loop, and the peers that are installed.

    scripts/bench/cpu_per_write --viewers 5000 --seconds 10

So few comments are posted that each makes a round of its own, about 300 bytes; all that the server does meanwhile
counts. The C loop writes as many bytes as ours did, as often.
"""

from argparse import Namespace

import rounds
import servers
from feeding import Fed, feed
from floor import Floor

_RATE = 8
"""Comments/s: further apart than a window."""
_TEXT_SIZE = 82


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    fed: list[Fed] = []
    for name in servers.names():
        with servers.start(name, options.profile) as server:
            one = feed(server, options.viewers, _RATE, options.seconds, _TEXT_SIZE)
        fed.append(one)
        yield name, {"CPU µs a write": one.us_per_write, "bytes a write": one.bytes_per_write, "faults": one.faults}
    with Floor(options.viewers) as floor:
        sends = floor.write(fed[0].rounds, fed[0].bytes_per_write, 1 / _RATE)
    yield floor.name, {"CPU µs a write": sends.us, "bytes a write": fed[0].bytes_per_write}
    yield "ours / C loop", {"CPU µs a write": fed[0].us_per_write / sends.us}


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, viewers=5_000, seconds=10.0).parse_args()
    rounds.run(options.rounds, f"{options.viewers:,} viewers, {_RATE} comments/s", lambda: measure(options))


if __name__ == "__main__":
    main()
