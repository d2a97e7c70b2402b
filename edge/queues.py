"""How full the kernel's queue of a listening socket is. Connections wait there until they are accepted."""

import socket
import struct
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_DROPS = 8
_TCP_INFO_QUEUE = struct.Struct("=24x2I")
"""Of a listening socket, ``tcpi_unacked`` and ``tcpi_sacked``: how many wait, and how many may (tcp_get_info)."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One listening socket's."""

    waiting: int
    limit: int
    """More than that are not let in; their clients try again by themselves, after a second at first."""
    dropped: int
    """Those that were not let in so far, each try of a client by itself."""


def queue_of(listener: socket.socket) -> Queue:
    """Raises OSError for one that is closed."""
    waiting, limit = _TCP_INFO_QUEUE.unpack(
        listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_QUEUE.size)
    )
    meminfo = listener.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    return Queue(waiting, limit, _MEMINFO.unpack(meminfo)[_DROPS])


class QueueMetrics(Collector):
    """Reads the queues whenever metrics are read."""

    def __init__(self, listeners: dict[str, socket.socket]) -> None:
        """By name. A socket that is closed has no queue any more, and is left out."""
        self._listeners = listeners

    def collect(self) -> list[GaugeMetricFamily | CounterMetricFamily]:
        """As Prometheus has it."""
        waiting = GaugeMetricFamily(
            "livecomments_edge_accept_queue", "Connections that wait to be accepted", labels=["listener"]
        )
        limit = GaugeMetricFamily(
            "livecomments_edge_accept_queue_limit", "How many may wait to be accepted", labels=["listener"]
        )
        dropped = CounterMetricFamily(
            "livecomments_edge_accept_queue_drops", "Connections that found the queue full", labels=["listener"]
        )
        for name, listener in self._listeners.items():
            try:
                queue = queue_of(listener)
            except OSError:
                continue
            waiting.add_metric([name], queue.waiting)
            limit.add_metric([name], queue.limit)
            dropped.add_metric([name], queue.dropped)
        return [waiting, limit, dropped]
