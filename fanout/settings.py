"""Settings of fanout; those that all services share stand in ``livecomments.settings``."""

from typing import Annotated

from pydantic import Field

from livecomments.settings import Addresses, Settings


class FanoutSettings(Settings):
    """How the feed is gathered, kept and given out."""

    fanout_listen: str = "127.0.0.1:0"
    """Where gRPC is served; port 0 takes a free one."""
    fanout_metrics_listen: str = "127.0.0.1:0"
    """Where Prometheus reads."""
    fanout_upstream_urls: Addresses = ()
    """Fanouts, ``host:port``, separated by commas, one of which feeds this one, which then needs neither NATS nor
    storage; without any it reads the log itself.
    """
    fanout_window_ms: Annotated[int, Field(ge=1, le=10_000)] = 100
    """At most one window of a topic in so many ms; the first event after a quiet moment goes at once."""
    fanout_ring: Annotated[int, Field(ge=1, le=200)] = 200
    """Latest comments of a topic that are kept for history on join."""
    fanout_resume_s: Annotated[float, Field(ge=0)] = 30.0
    """How long windows are kept for those who come back, seconds."""
    fanout_ring_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024**2
    """Size of one topic's kept windows at which the oldest go earlier, bytes. 30 s at 10,000 comments/s take 50 MB."""
    fanout_linger_s: Annotated[float, Field(ge=0)] = 10.0
    """How long a topic stays after its last subscriber, seconds."""
    fanout_relay_queue_bytes: Annotated[int, Field(ge=64 * 1024)] = 8 * 1024**2
    """What may wait for one slow edge; beyond it the edge gets fresh snapshots instead, bytes."""
    fanout_watch_queue_bytes: Annotated[int, Field(ge=64 * 1024)] = 1024**2
    """What may wait for one slow Watch client; beyond it the call ends with OVERLOADED, bytes."""
    storage_urls: Addresses = ()
    """Addresses of HistoryService, ``host:port``, separated by commas; without any, history is what the log holds."""
