"""Page tokens: a place in a listing, signed, and bound to the request that it was given for. Pure.

A token is base64url of a signature (16 bytes of HMAC-SHA256) and the place. The key follows from the services' shared
token, so every process of an installation takes what any other has given, also after a restart, and nobody else's.
"""

import base64
import binascii
import hmac
import json
from dataclasses import dataclass

from livecomments.errors import FieldError, Reason, Refusal

_SIGNATURE_BYTES = 16
_TOKEN_MAX = 256
"""Characters; the longest of ours has 118."""


@dataclass(frozen=True, slots=True)
class PageTokens:
    """Signs places and reads them back. ``request`` is what a token is bound to: the kind of listing first, then all
    arguments that decide what is listed and in which order.
    """

    key: bytes

    @classmethod
    def of(cls, service_token: str) -> "PageTokens":
        """Those of the installation whose services know each other by this token, which can't be told from them."""
        return cls(hmac.digest(service_token.encode(), b"livecomments page tokens", "sha256"))

    def sign(self, place: bytes, *request: str | int) -> str:
        """The token of a place."""
        return base64.urlsafe_b64encode(self._signature(place, request) + place).rstrip(b"=").decode()

    def read(self, token: str, *request: str | int) -> bytes:
        """The place that was signed for this very request; raises Refusal(BAD_PAGE_TOKEN), which names page_token."""
        try:
            if len(token) > _TOKEN_MAX:
                raise ValueError("too long")
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise _bad("is malformed") from error
        signature, place = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(place, request)):
            raise _bad("was not given for this request: a page token goes with the arguments of the page before")
        return place

    def _signature(self, place: bytes, request: tuple[str | int, ...]) -> bytes:
        # JSON holds no NUL, so that nothing of the one can be taken for the other.
        signed = json.dumps(request).encode() + b"\0" + place
        return hmac.digest(self.key, signed, "sha256")[:_SIGNATURE_BYTES]


def _bad(detail: str) -> Refusal:
    return Refusal(Reason.BAD_PAGE_TOKEN, f"the page token {detail}", (FieldError("page_token", detail),))
