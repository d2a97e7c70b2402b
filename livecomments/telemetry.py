"""Logs and metrics, alike in every service."""

import logging
import sys
from threading import Thread
from typing import Self
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import start_http_server

from livecomments.settings import Settings, split_address

Logger = structlog.stdlib.BoundLogger


def configure_logging(service: str, settings: Settings) -> None:
    """One JSON object a line on stderr; plain lines on a terminal."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # What the libraries say goes through the same door, so that a supervisor reads one format.
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format='{"event": "library", "logger": "%(name)s", "message": "%(message)s"}',
    )


def log() -> Logger:
    logger: Logger = structlog.get_logger()
    return logger


class MetricsServer:
    """Prometheus text on a port of its own, served by a thread; a context manager."""

    def __init__(self, name: str, listen: str) -> None:
        host, port = split_address(name, listen)
        self._server: WSGIServer
        self._thread: Thread
        self._server, self._thread = start_http_server(port, host)
        self.address = f"{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2)
