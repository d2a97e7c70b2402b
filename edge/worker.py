"""``python -m edge.worker <place>``: one process of several, started by ``edge.parent`` alone."""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from edge.process import Listeners, serve
from edge.settings import EdgeSettings
from edge.workers import Place, Stage, Workers
from livecomments.settings import SettingsError, load
from livecomments.telemetry import MetricsServer, configure_logging


def main(place: Place) -> None:
    """Ends with 0 after SIGTERM, 2 for a bad setting."""
    settings = load(EdgeSettings)
    configure_logging("edge", settings)
    structlog.contextvars.bind_contextvars(worker=place.name)
    listeners = Listeners(
        _inherited(place.listener), None if place.tls_listener is None else _inherited(place.tls_listener)
    )
    with MetricsServer(_inherited(place.metrics)) as metrics:

        def tell(stage: Stage) -> None:
            if stage is Stage.DRAINING:
                # From now on the successor, if there is one, answers there: half of the answers each would look as if
                # all counters jumped to and fro.
                metrics.close()
            with suppress(BrokenPipeError):
                os.write(place.report, f"{stage}\n".encode())

        workers = Workers(place.name, Path(place.folder))
        try:
            serve(settings, listeners, workers, tell)
        except SettingsError as error:
            print(error, file=sys.stderr)
            sys.exit(2)


def _inherited(descriptor: int) -> socket.socket:
    inherited = socket.socket(fileno=descriptor)
    inherited.setblocking(False)
    return inherited


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Place))
