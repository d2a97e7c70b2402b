"""Settings of the edge; see ``livecomments.settings`` for those that all services share."""

import resource
from typing import Annotated, Literal

from pydantic import Field

from livecomments.settings import Addresses, Settings

_UNLIMITED = 1_000_000
"""Viewers where descriptors are not limited."""


def room_for_viewers() -> int:
    """How many descriptors this process may have, less a tenth for everything that is no viewer."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if hard == resource.RLIM_INFINITY else max(1, hard * 9 // 10)


class EdgeSettings(Settings):
    """One edge: what is bounded is bounded for each of its processes."""

    edge_listen: str = "127.0.0.1:8080"
    """Where browsers and phones come in, host:port."""
    edge_tls_listen: str | None = None
    """The same over TLS, host:port. Needs ``TLS_CERT`` and ``TLS_KEY``."""
    edge_metrics_listen: str = "127.0.0.1:9180"
    """Where Prometheus reads, host:port; worker k has the k-th port after it."""
    edge_workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes that serve at the same address."""
    core_urls: Addresses = ("127.0.0.1:7101",)
    """Cores, host:port, separated by commas; each stream belongs to one of them."""
    fanout_urls: Addresses = ("127.0.0.1:7201",)
    """Fanouts; one is used at a time."""
    storage_urls: Addresses = ("127.0.0.1:7301",)
    """Storages; asked in turn."""
    edge_address_rate: Annotated[float, Field(ge=0)] = 50
    """Posts from one address (of IPv6: from one /64), per second, in each worker; 0 lifts the limit."""
    edge_address_burst: Annotated[int, Field(ge=1)] = 200
    """Posts from one address at once, in each worker."""
    edge_socket_rate: Annotated[float, Field(gt=0)] = 50
    """Frames that one WebSocket viewer may send, per second; over that it is closed."""
    edge_socket_burst: Annotated[int, Field(ge=1)] = 200
    """The same at once."""
    edge_body_max: Annotated[int, Field(ge=1024)] = 16 * 1024
    """Largest request body, bytes."""
    edge_cors_origins: Addresses = ()
    """Origins (scheme://host[:port]) whose pages may call; ``*`` for any."""
    edge_cookie: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{0,64}$")] | None = None
    """Cookie that may carry a user's token, for native EventSource and WebSocket; none without a name. Best one that
    begins with ``__Host-``.
    """
    edge_ticket_s: Annotated[float, Field(gt=0, le=300)] = 30
    """How long a ticket is good for, seconds."""
    edge_trusted_hops: Annotated[int, Field(ge=0, le=10)] = 0
    """Proxies in front that append to ``EDGE_FORWARDED_HEADER``; 0 takes the peer's own address."""
    edge_forwarded_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    """Where those proxies say from which address a request comes; the other header is not looked at."""
    edge_heartbeat_s: Annotated[float, Field(gt=0)] = 15
    """A silent feed shows life after so many seconds."""
    edge_backlog_bytes: Annotated[int, Field(ge=16 * 1024)] = 256 * 1024
    """What may wait for one viewer, bytes; over that it is disconnected and resumes by cursor."""
    edge_max_viewers: Annotated[int, Field(ge=1)] = Field(default_factory=room_for_viewers)
    """Viewers of one process; over that a subscribe is refused with OVERLOADED. Default: as many as its hard limit of
    descriptors allows, less a tenth for everything else.
    """
    edge_max_comments_per_second: Annotated[int, Field(ge=0)] = 100
    """Comments that one viewer is given, per second: above it an even sample, and how many were left out. 0: all."""
    edge_session_max_streams: Annotated[int, Field(ge=1, le=100)] = 50
    """Streams that one connection may watch together."""
    edge_resume_s: Annotated[float, Field(gt=0)] = 30
    """Windows are kept in memory for so long, for viewers that come back, seconds."""
    edge_resume_max_events: Annotated[int, Field(ge=1)] = 2_000
    """Most events that a resume may bring; over that the viewer gets a fresh snapshot."""
    edge_resume_max_bytes: Annotated[int, Field(ge=1024)] = 2 * 1024 * 1024
    """The same in bytes."""
    edge_max_connection_age_s: Annotated[float, Field(ge=0)] = 3_600
    """A viewer's connection is renewed after so many seconds, a tenth more or less. 0: never."""
    edge_drain_s: Annotated[float, Field(ge=0)] = 20
    """Viewers are closed over so many seconds after SIGTERM."""
    edge_post_wait_s: Annotated[float, Field(gt=0)] = 2
    """A post that has no answer after so long gets 503."""
    edge_posts_waiting: Annotated[int, Field(ge=1)] = 10_000
    """Posts that may wait for an answer at once, half of them of one stream; over that OVERLOADED."""
