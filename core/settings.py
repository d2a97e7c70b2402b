"""Settings of core."""

from typing import Annotated

from pydantic import Field

from livecomments.settings import Addresses, Settings


class CoreSettings(Settings):
    """What core needs besides what all services share."""

    core_listen: str = "127.0.0.1:0"
    """Address of the gRPC server; port 0 takes a free one."""
    core_metrics_listen: str = "127.0.0.1:0"
    """Address of the Prometheus metrics; port 0 takes a free one."""
    core_user_rate: Annotated[float, Field(ge=0, le=1_000)] = 1
    """Comments a second that one user may post in one stream in the long run; 0 lifts the limit."""
    core_user_burst: Annotated[int, Field(ge=1, le=1_000)] = 10
    """Comments that one user may post at once in one stream."""
    core_text_max: Annotated[int, Field(ge=1, le=5_000)] = 500
    """Longest text of a comment, code points."""
    core_meta_max: Annotated[int, Field(ge=2, le=8_192)] = 1_024
    """Longest ``meta`` of a comment, bytes of JSON."""
    core_batch_max_comments: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    """Most comments that are committed as one message."""
    core_batch_max_bytes: Annotated[int, Field(ge=1_024, le=768 * 1_024)] = 256 * 1_024
    """Size of a message, bytes, above which no further comment joins it; nats-server takes 1 MiB at most."""
    storage_urls: Addresses = ()
    """HistoryServices that are asked for comments older than the log; without one those can't be pinned, nor deleted
    by their authors."""
