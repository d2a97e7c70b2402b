"""``python -m edge [--workers N]``: one edge, in one process or several."""

import argparse
import os
import sys
from contextlib import suppress

from edge import parent
from edge.process import Listeners, serve
from edge.settings import EdgeSettings
from edge.workers import ALONE, Stage
from livecomments.listening import address_of, listen
from livecomments.serving import write_ports
from livecomments.settings import SettingsError, load
from livecomments.telemetry import MetricsServer, configure_logging, log


def main() -> None:
    """Ends with 0 after SIGTERM or SIGINT, 2 for a bad setting, and as the worker that could not start."""
    parser = argparse.ArgumentParser("edge", description="The door for browsers and phones.")
    parser.add_argument("--workers", metavar="N", help="processes that serve; default: LIVECOMMENTS_EDGE_WORKERS, or 1")
    workers = parser.parse_args().workers
    if workers is not None:
        os.environ["LIVECOMMENTS_EDGE_WORKERS"] = workers
    settings = load(EdgeSettings)
    configure_logging("edge", settings)
    try:
        with suppress(KeyboardInterrupt):
            if settings.edge_workers == 1:
                _serve_alone(settings)
            else:
                sys.exit(parent.run(settings))
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def _serve_alone(settings: EdgeSettings) -> None:
    listeners = Listeners(
        listen("EDGE_LISTEN", settings.edge_listen),
        None if settings.edge_tls_listen is None else listen("EDGE_TLS_LISTEN", settings.edge_tls_listen),
    )
    with MetricsServer(listen("EDGE_METRICS_LISTEN", settings.edge_metrics_listen)) as metrics:
        addresses = {"listen": address_of(listeners.plain), "metrics": metrics.address}
        if listeners.tls is not None:
            addresses["tls_listen"] = address_of(listeners.tls)

        def tell(stage: Stage) -> None:
            if stage is Stage.SERVING:
                log().info("serving", **addresses)
                if settings.ports_file is not None:
                    write_ports(settings.ports_file, **addresses)

        serve(settings, listeners, ALONE, tell)


if __name__ == "__main__":
    main()
