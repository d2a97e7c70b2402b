"""A storage that takes calls and never answers one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import grpc

from livecomments.v1 import history_service_pb2 as history
from livecomments.v1.history_service_pb2_grpc import HistoryServiceServicer, add_HistoryServiceServicer_to_server


class _Silent(HistoryServiceServicer):
    def __init__(self) -> None:
        self.released = Event()

    def ListRecentComments(  # noqa: N802 (its name there)
        self, _request: history.ListRecentCommentsRequest, _context: Any
    ) -> history.ListRecentCommentsResponse:
        self.released.wait(60)
        return history.ListRecentCommentsResponse()


@contextmanager
def silent_storage() -> Iterator[str]:
    """Its host:port."""
    servicer, server = _Silent(), grpc.server(ThreadPoolExecutor(8))
    add_HistoryServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        servicer.released.set()
        server.stop(grace=1).wait(10)
