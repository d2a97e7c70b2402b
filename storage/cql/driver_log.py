"""What the driver logs, as one of our own lines: it writes tracebacks over many."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from livecomments.telemetry import log


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log().warning("the CQL driver", logger=record.name, message=record.getMessage())


_handler = _Handler(logging.WARNING)


@contextmanager
def connecting() -> Iterator[None]:
    """The driver's log is silent while the context is open, as what fails there is raised; from then on it is ours."""
    logger = logging.getLogger("cassandra")
    logger.propagate = False
    logger.addHandler(_handler)
    _handler.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        _handler.setLevel(logging.WARNING)
