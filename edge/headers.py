"""Response headers that stand in the same form whichever way a response goes out."""

from functools import lru_cache

from edge.encodings import Encoding
from edge.encodings.gzip import GZIP, takes_gzip
from edge.encodings.sse import SSE

EXPOSED = "grpc-status, grpc-message, grpc-status-details-bin, retry-after, ratelimit, ratelimit-policy, etag"

Headers = list[tuple[str, str]]


def is_allowed(origin: str | None, origins: frozenset[str]) -> bool:
    """Whether pages of this origin may call; ``*`` among the origins stands for any."""
    return origin is not None and ("*" in origins or origin in origins)


def shared_headers(origin: str | None, origins: frozenset[str]) -> Headers:
    """What every response carries: no guessing of types, and CORS for an allowed origin."""
    headers = [("X-Content-Type-Options", "nosniff")]
    if origins:
        headers.append(("Vary", "Origin"))
    if origin is not None and is_allowed(origin, origins):
        headers += [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED)]
    return headers


@lru_cache(maxsize=256)
def feed_encoding(accept_encoding: str | None) -> Encoding:
    """How a subscriber's feed is written."""
    return GZIP if takes_gzip(accept_encoding) else SSE


def names_etag(if_none_match: str | None, etag: str) -> bool:
    """Whether the header names this ETag (quoted, without W/), weak or strong, which is the same to it."""
    given = [part.strip().removeprefix("W/") for part in (if_none_match or "").split(",")]
    return etag in given or given == ["*"]


def feed_headers(encoding: Encoding) -> Headers:
    """A feed: not to be kept, and not to be gathered by a proxy on its way."""
    headers = [("Content-Type", encoding.content_type), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")]
    if encoding.content_type == SSE.content_type:
        headers.append(("Vary", "Accept-Encoding"))
    if encoding.content_encoding:
        headers.append(("Content-Encoding", encoding.content_encoding))
    return headers
