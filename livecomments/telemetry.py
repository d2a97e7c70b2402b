"""Logs and metrics, alike in every service."""

import logging
import socket
import sys
from threading import Thread
from typing import Self
from wsgiref.simple_server import WSGIRequestHandler

import structlog
from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from livecomments.listening import address_of
from livecomments.settings import Settings

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

    def __init__(self, listener: socket.socket) -> None:
        """The socket is closed here; others may listen on copies of it."""
        self.address = address_of(listener)
        self._server = _Server(listener)
        self._thread = Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answers no more. Safe to call again."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(2)
        self._server.server_close()


class _Server(ThreadingWSGIServer):
    def __init__(self, listener: socket.socket) -> None:
        self.address_family = listener.family
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()
        self.set_app(make_wsgi_app())


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, *_: object) -> None:
        """Nothing: who reads metrics does so for ever."""
