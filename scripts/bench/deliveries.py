"""Deliveries (comments x viewers) per second of the server's CPU time, and how late they come.

    scripts/bench/deliveries --seconds 10 --cases 1000x100,5000x20

Ours gathers what comes within 100 ms and writes it at once; nchan writes each comment alone. The C loop writes what
ours wrote, as often: the most that can be had with these windows. Latency counts from when a comment was due until a
viewer has read it, for ours through the log and fanout. "waited": the server was ready, and others had its core.
"""

from argparse import Namespace
from collections.abc import Sequence

import rounds
import servers
from feeding import Fed, feed
from floor import Floor

_TEXT_SIZE = 100


def measure(options: Namespace, cases: Sequence[tuple[int, float]]) -> rounds.Round:
    """One round of all cases: viewers, comments/s."""
    for viewers, rate in cases:
        case = f"{viewers:,} x {rate:g}/s"
        fed: list[Fed] = []
        for name in servers.names():
            with servers.start(name, options.profile) as server:
                one = feed(server, viewers, rate, options.seconds, _TEXT_SIZE)
            fed.append(one)
            yield f"{case} {name}", _figures(one)
        ours, *peers = fed
        with Floor(viewers) as floor:
            sends = floor.write(ours.rounds, ours.bytes_per_write, options.seconds / ours.rounds)
        bare = ours.seen.comments / sends.cpu_s
        yield f"{case} {floor.name}", {"deliveries/CPU-s": bare, "core busy": sends.cpu_s / options.seconds}
        for peer, name in zip(peers, servers.names()[1:], strict=True):
            yield f"{case} ours : {name}", {"deliveries/CPU-s": ours.deliveries_per_cpu_s / peer.deliveries_per_cpu_s}


def _figures(fed: Fed) -> rounds.Figures:
    return {
        "deliveries/CPU-s": fed.deliveries_per_cpu_s,
        "core busy": fed.cpu_s / fed.seconds,
        "waited s": fed.waited_s,
        "p50 ms": fed.seen.percentile_ms(0.5),
        "p99 ms": fed.seen.percentile_ms(0.99),
        "faults": fed.faults,
    }


def main() -> None:
    """The command."""
    parser = rounds.arguments(__doc__, seconds=10.0)
    parser.add_argument("--cases", default="1000x100,5000x20", help="viewers x comments/s, separated by commas")
    options = parser.parse_args()
    cases = [(int(viewers), float(rate)) for viewers, rate in (case.split("x") for case in options.cases.split(","))]
    rounds.run(options.rounds, "Deliveries", lambda: measure(options, cases))


if __name__ == "__main__":
    main()
