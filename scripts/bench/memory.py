"""Memory for one viewer that hears nothing: resident memory of the server, and what the kernel takes.

    scripts/bench/memory --viewers 10000

The server's part is smaller than what its viewers need where memory that was freed at its start is used again. The
kernel's part (slabs of the whole machine) is that of both ends of the connection. What a server allocates at its
start, before anybody has come, is left out: nginx has its table of connections then.
"""

import time
from argparse import Namespace

import machine
import rounds
import servers
from load import Load, Refused

_WARM = 1
"""Viewers that have been there before, so that the stream's feed itself is not counted."""
_SETTLE_S = 2.0
_WAYS = "SSE", "WebSocket"


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    for name in servers.names():
        with servers.start(name, options.profile) as server:
            ways = server.requests
        for way in _WAYS:
            request = ways[way]
            with servers.start(name, options.profile) as server:
                try:
                    yield f"{name} {way}", _measure(server, request, options.viewers)
                except Refused:
                    yield f"{name} {way} (not served)", {}


def _measure(server: servers.Server, request: bytes, viewers: int) -> rounds.Figures:
    with Load(server.port, request, _WARM) as load:
        load.open(_WARM)
        time.sleep(_SETTLE_S)
    with Load(server.port, request, viewers) as load:
        time.sleep(_SETTLE_S)
        before, kernel_before = machine.rss_bytes(server.pids), machine.kernel_bytes()
        load.open(viewers)
        time.sleep(_SETTLE_S)
        resident, kernel = machine.rss_bytes(server.pids) - before, machine.kernel_bytes() - kernel_before
    return {
        "RSS KiB a viewer": resident / viewers / 1024,
        "kernel KiB a viewer, both ends": kernel / viewers / 1024,
        "RSS MiB": (before + resident) / 1024**2,
    }


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, viewers=10_000).parse_args()
    rounds.run(options.rounds, f"{options.viewers:,} idle viewers", lambda: measure(options))


if __name__ == "__main__":
    main()
