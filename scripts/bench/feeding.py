"""Feeding a server's viewers for some seconds, and what that took."""

import time
from dataclasses import dataclass

import machine
from load import Load, Seen
from servers import Server

SETTLE_S = 1.0
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Fed:
    """Some seconds of comments, all delivered or given up."""

    viewers: int
    published: int
    seconds: float
    cpu_s: float
    """Of the server."""
    waited_s: float
    """How long the server was ready to run while others had its core."""
    rounds: int
    """Writes to all viewers."""
    seen: Seen

    @property
    def missing(self) -> int:
        """Comments times viewers."""
        return self.published * self.viewers - self.seen.comments

    @property
    def faults(self) -> int:
        """Comments that came twice, in the wrong order or not at all, and viewers that were cut off."""
        return max(0, self.missing) + self.seen.doubled + self.seen.skipped + self.seen.closed

    @property
    def bytes_per_write(self) -> int:
        return round(self.seen.read_bytes / self.rounds / self.viewers)

    @property
    def us_per_write(self) -> float:
        """CPU time of the server for one write to one viewer."""
        return self.cpu_s / self.rounds / self.viewers * 1e6

    @property
    def deliveries_per_cpu_s(self) -> float:
        return self.seen.comments / self.cpu_s


def feed(server: Server, viewers: int, rate: float, seconds: float, text_size: int) -> Fed:
    """Opens viewers and posts ``rate`` comments/s to them."""
    with Load(server.port, server.requests["SSE"], viewers) as load:
        load.open(viewers)
        time.sleep(SETTLE_S)
        load.begin()
        rounds = server.rounds()
        cpu_s, waited_s = machine.cpu_seconds(server.pids), machine.waited_seconds(server.pids)
        began = time.monotonic()
        published = server.publish(rate, seconds, text_size)
        seen = until_seen(load, published * viewers)
        took = time.monotonic() - began
        cpu_s = machine.cpu_seconds(server.pids) - cpu_s
        waited_s = machine.waited_seconds(server.pids) - waited_s
        return Fed(viewers, published, took, cpu_s, waited_s, server.rounds() - rounds, seen)


def until_seen(load: Load, comments: int) -> Seen:
    """What the viewers saw, once it is all of it, or nothing more has come for a while."""
    deadline = time.monotonic() + _PATIENCE_S
    seen = load.report()
    while seen.comments < comments and time.monotonic() < deadline:
        time.sleep(0.1)
        before, seen = seen, load.report()
        if seen.comments > before.comments:
            deadline = time.monotonic() + _PATIENCE_S
    return seen
