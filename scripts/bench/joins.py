"""Joins per second of the server's CPU time, and what a storm of them does to those who watch already.

    scripts/bench/joins --viewers 10000

Ours gives each a snapshot of about 2 KB, the C loop as many bytes after a plain accept and recv; nchan gives none.
In the storm all connect at once, while a part of the audience has been there before and comments go on. The joiners
leave the load core to those who watch and to what feeds them: in life they are other machines. "waited": the server was
ready, and others had its core.
"""

import math
import time
from argparse import Namespace

import machine
import rounds
import servers
from feeding import SETTLE_S, until_seen
from floor import Floor
from load import Load, Refused

_HISTORY = 7
"""Comments in a snapshot: about 2 KB."""
_TEXT_SIZE = 60
_AT_ONCE = 512
_STORM_RATE = 20
_NICE = 15


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    first_bytes = 0
    for name in servers.names():
        with servers.start(name, options.profile) as server:
            server.publish(_HISTORY / 0.7, 0.7, _TEXT_SIZE)
            figures, given = _joins(server, options.viewers)
            yield f"{name}: joins", figures
            first_bytes = first_bytes or given
        with servers.start(name) as server:
            yield f"{name}: storm", _storm(server, options.present, options.viewers, options.seconds)
    with Floor(options.viewers, first_bytes) as floor:
        yield f"{floor.name}: joins", _per_join(floor.joins.cpu_s, floor.joins.count)


def _joins(server: servers.Server, viewers: int) -> tuple[rounds.Figures, int]:
    """And how many bytes each was given."""
    with Load(server.port, server.requests["SSE"], viewers + 1) as load:
        load.open(1)
        time.sleep(SETTLE_S)
        load.begin()
        cpu_s = machine.cpu_seconds(server.pids)
        took_s = load.open(viewers, _AT_ONCE)
        cpu_s = machine.cpu_seconds(server.pids) - cpu_s
        given = round(load.report().read_bytes / viewers)
    return {**_per_join(cpu_s, viewers), "joins/s": viewers / took_s, "bytes each": given}, given


def _per_join(cpu_s: float, count: int) -> rounds.Figures:
    return {"joins/CPU-s": count / cpu_s, "CPU µs a join": cpu_s / count * 1e6}


def _storm(server: servers.Server, present: int, joiners: int, seconds: float) -> rounds.Figures:
    request, refused = server.requests["SSE"], 0
    with Load(server.port, request, present) as watching, Load(server.port, request, joiners, _NICE) as joining:
        watching.open(present)
        time.sleep(SETTLE_S)
        watching.begin()
        published = server.publish(_STORM_RATE, seconds, _TEXT_SIZE)
        calm = until_seen(watching, published * present)
        watching.begin()
        waited_s = machine.waited_seconds(server.pids)
        joining.start_opening(joiners, at_once=joiners)
        published = server.publish(_STORM_RATE, seconds, _TEXT_SIZE)
        try:
            took_s = joining.wait_until_open()
        except Refused as error:
            took_s, refused = math.nan, error.count
        storm = until_seen(watching, published * present)
        waited_s = machine.waited_seconds(server.pids) - waited_s
    return {
        "joins/s": joiners / took_s,
        "p99 ms before": calm.percentile_ms(0.99),
        "p99 ms meanwhile": storm.percentile_ms(0.99),
        "max ms meanwhile": storm.percentile_ms(1),
        "not let in": refused,
        "waited s": waited_s,
        "faults": published * present - storm.comments + storm.doubled + storm.skipped + storm.closed,
    }


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, viewers=10_000, present=1_000, seconds=4.0).parse_args()
    title = f"{options.viewers:,} joins; storm on {options.present:,} viewers at {_STORM_RATE} comments/s"
    rounds.run(options.rounds, title, lambda: measure(options))


if __name__ == "__main__":
    main()
