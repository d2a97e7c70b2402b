"""The most deliveries/s that one core sustains: the rate is raised until comments come late or not at all.

    scripts/bench/sustained --viewers 1000 --seconds 5

Sustained: p99 within 500 ms, nothing missing, doubled or out of order, nobody cut off. The viewers share the last core
with everything that feeds the edge, so it may be they who give up first: "core busy" is the edge's own core. A viewer
takes more than 1 MB/s then, so that more than the usual 256 KiB may wait for it.
"""

from argparse import Namespace

import rounds
import servers
from feeding import Fed, feed
from ours import Ours

LATE_MS = 500
_RATES = {"ours": (2_000, 3_500, 5_000, 5_500, 6_500, 8_000)}
_PEERS_RATES = (100, 150, 200, 300)
_TRIES = 2
"""One step too slow may be the doing of others."""
_TEXT_SIZE = 40
_BACKLOG = {"EDGE_BACKLOG_BYTES": str(4 * 1024 * 1024)}


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    for name in servers.names():
        most = 0.0
        for rate in _RATES.get(name, _PEERS_RATES):
            fed = _try(name, rate, options)
            yield f"{name} at {rate:,}/s", _figures(fed)
            if not _is_sustained(fed):
                break
            most = fed.seen.comments / fed.seconds
        yield f"{name}: most", {"deliveries/s": most}


def _try(name: str, rate: int, options: Namespace) -> Fed:
    for _ in range(_TRIES):
        # A fresh one each: what a step has left behind must not burden the next.
        with Ours(options.profile, _BACKLOG) if name == Ours.name else servers.start(name) as server:
            fed = feed(server, options.viewers, rate, options.seconds, _TEXT_SIZE)
        if _is_sustained(fed):
            break
    return fed


def _is_sustained(fed: Fed) -> bool:
    return not fed.faults and fed.seen.percentile_ms(0.99) <= LATE_MS


def _figures(fed: Fed) -> rounds.Figures:
    return {
        "deliveries/s": fed.seen.comments / fed.seconds,
        "p50 ms": fed.seen.percentile_ms(0.5),
        "p99 ms": fed.seen.percentile_ms(0.99),
        "core busy": fed.cpu_s / fed.seconds,
        "waited s": fed.waited_s,
        "faults": fed.faults,
    }


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, viewers=1_000, seconds=5.0).parse_args()
    rounds.run(options.rounds, f"{options.viewers:,} viewers, rate raised", lambda: measure(options))


if __name__ == "__main__":
    main()
