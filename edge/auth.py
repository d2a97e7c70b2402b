"""Who sends a request: the bearer token, checked once and remembered until it expires."""

import time
from collections import OrderedDict
from hashlib import sha256

from livecomments.errors import Reason, Refusal
from livecomments.tokens import NOBODY, Identity, TokenKey

CACHED_MAX = 50_000
"""Tokens that are remembered; about 0.5 KB each."""


class Authenticator:
    """Turns an ``Authorization`` header into an Identity."""

    def __init__(self, key: TokenKey) -> None:
        self._key = key
        self._known: OrderedDict[bytes, Identity] = OrderedDict()

    def identify(self, authorization: str | None) -> Identity:
        """Who it is; NOBODY without a header. Raises Refusal(UNAUTHENTICATED) for a bad one."""
        if authorization is None:
            return NOBODY
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refusal(Reason.UNAUTHENTICATED, "Authorization must be 'Bearer <token>'")
        # By digest: the tokens themselves stay out of memory dumps, and long ones cost no more.
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known.expires_at > time.time():
            self._known.move_to_end(digest)
            return known
        identity = self._key.verify(token.strip())
        self._known[digest] = identity
        if len(self._known) > CACHED_MAX:
            self._known.popitem(last=False)
        return identity
