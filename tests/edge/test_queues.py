"""The kernel's queue of connections that wait to be accepted."""

import socket
from contextlib import ExitStack

from prometheus_client import CollectorRegistry

from edge.queues import QueueMetrics, queue_of
from tests.processes import eventually


def test_who_waits_and_who_is_not_let_in_is_counted() -> None:
    with ExitStack() as open_ones:
        listener = open_ones.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2))
        registry = CollectorRegistry()
        registry.register(QueueMetrics({"plain": listener}))

        def value(name: str) -> float | None:
            return registry.get_sample_value(f"livecomments_edge_accept_queue{name}", {"listener": "plain"})

        assert (value(""), value("_limit"), value("_drops_total")) == (0, 2, 0)
        for _ in range(8):
            client = open_ones.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        # The queue takes one more than its limit.
        eventually(lambda: queue_of(listener).waiting == 3, "the queue is full")
        eventually(lambda: (value("_drops_total") or 0) >= 5, "the others were not let in")
        listener.accept()[0].close()
        assert value("") == 2
        listener.close()
        assert value("") is None
