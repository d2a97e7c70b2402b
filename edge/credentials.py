"""Where a request says who sends it: in a header, or in a cookie. Pure.

A cookie comes with every request that a page makes its visitor's browser send, whoever wrote that page. So it counts
for what changes something, and for WebSockets, which CORS does not hold for, on pages alone that may call here by name.
"""

from dataclasses import dataclass
from typing import NamedTuple

from edge.headers import Origins
from livecomments.errors import Reason, Refusal


class Asking(NamedTuple):
    """What a request's headers say of who sends it; None for those that are missing."""

    authorization: str | None
    cookie: str | None
    origin: str | None
    """Whose page, as the browser says."""
    host: str | None


@dataclass(frozen=True, slots=True)
class Credentials:
    """Finds the token of a request. ``Authorization`` wins over the cookie."""

    cookie: str
    """The cookie that may carry a token; empty for none."""
    origins: Origins

    def for_reading(self, asking: Asking) -> str | None:
        """An ``Authorization`` header's value; None when nobody says who asks.

        Raises Refusal(UNAUTHENTICATED) when the cookie stands there more than once: someone else may have set one.
        """
        if asking.authorization is not None or not self.cookie or asking.cookie is None:
            return asking.authorization
        parts = (part.strip().partition("=") for part in asking.cookie.split(";"))
        found = [value.strip('"') for name, _, value in parts if name == self.cookie]
        if len(found) > 1:
            raise Refusal(Reason.UNAUTHENTICATED, f"the cookie {self.cookie} stands more than once")
        return f"Bearer {found[0]}" if found and found[0] else None

    def for_changing(self, asking: Asking) -> str | None:
        """The same for a request that may change something, or that opens a WebSocket.

        Raises Refusal(FORBIDDEN), too, for a cookie that comes with a page that is not known by its origin.
        """
        authorization = self.for_reading(asking)
        if asking.authorization is None and authorization is not None:
            self.require_own_page(asking)
        return authorization

    def require_own_page(self, asking: Asking) -> None:
        """Raises Refusal(FORBIDDEN) unless the request comes from a page of ours, or of an origin that is listed."""
        if not self.origins.is_ours(asking.origin, asking.host):
            raise Refusal(
                Reason.FORBIDDEN,
                "with a cookie this needs an Origin: that of this server, or one that EDGE_CORS_ORIGINS names",
            )
