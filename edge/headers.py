"""Response headers that stand in the same form whichever way a response goes out."""

from dataclasses import dataclass
from functools import lru_cache

from edge.encodings import Encoding
from edge.encodings.gzip import GZIP, takes_gzip
from edge.encodings.sse import SSE

EXPOSED = "grpc-status, grpc-message, grpc-status-details-bin, retry-after, ratelimit, ratelimit-policy, etag"

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Origins:
    """Whose pages may call, besides our own."""

    listed: frozenset[str]
    """``scheme://host[:port]``; ``*`` stands for any."""
    with_cookies: bool
    """Browsers may send cookies along, for origins that are listed by name."""

    def allow(self, origin: str | None) -> bool:
        """Whether pages of this origin may call."""
        return origin is not None and ("*" in self.listed or origin in self.listed)

    def is_ours(self, origin: str | None, host: str | None) -> bool:
        """Whether a page is our own, by the request's Host, or of an origin that is listed by name."""
        return origin is not None and (origin in self.listed - {"*"} or origin.partition("://")[2] == host)


def shared_headers(origin: str | None, origins: Origins) -> Headers:
    """What every response carries: no guessing of types, and CORS for an allowed origin."""
    headers = [("X-Content-Type-Options", "nosniff")]
    if origins.listed:
        headers.append(("Vary", "Origin"))
    if origin is not None and origins.allow(origin):
        headers += [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED)]
        if origins.with_cookies and origin in origins.listed:
            headers.append(("Access-Control-Allow-Credentials", "true"))
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
