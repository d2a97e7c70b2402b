"""What the driver logs, as one of our own lines: it writes tracebacks over many."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from livecomments.telemetry import log


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log().warning("the CQL driver", logger=record.name, message=record.getMessage())


_handler = _Handler(logging.WARNING)


def silence() -> None:
    """Nothing is heard of the driver any more: at the process's end it warns of its own thread, which ends with it."""
    _handler.setLevel(logging.CRITICAL)


@contextmanager
def connecting() -> Iterator[None]:
    """The driver's log is silent while the context is open, as what fails there is raised; from then on it is ours."""
    logger = logging.getLogger("cassandra")
    logger.propagate = False
    logger.addHandler(_handler)
    silence()
    try:
        yield
    finally:
        _handler.setLevel(logging.WARNING)
