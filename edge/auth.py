"""Who sends a request: the bearer token, checked once and remembered until it expires."""

import time
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import suppress
from hashlib import sha256

import trio

from livecomments.errors import Reason, Refusal
from livecomments.issuers import WAIT_S
from livecomments.token_check import TOKEN_MAX_BYTES, KeysNeeded, TokenCheck
from livecomments.tokens import NOBODY, Identity

CACHED_MAX = 50_000
"""Tokens that are remembered; about 0.5 KB each."""


class Authenticator:
    """Turns an ``Authorization`` header into an Identity."""

    def __init__(self, check: TokenCheck) -> None:
        self._check = check
        self._known: OrderedDict[bytes, Identity] = OrderedDict()
        self._revision = check.revision

    def identify(self, authorization: str | None) -> Identity:
        """Who it is; NOBODY without a header.

        Raises Refusal(UNAUTHENTICATED) for a bad one, and KeysNeeded for one that ``bring_keys`` may help.
        """
        if authorization is None:
            return NOBODY
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Refusal(Reason.UNAUTHENTICATED, "Authorization must be 'Bearer <token>'")
        if len(token) > TOKEN_MAX_BYTES:
            return self._check.verify(token)
        if self._revision != (revision := self._check.revision):
            self._known.clear()
            self._revision = revision
        # By digest: the tokens themselves stay out of memory dumps, and long ones cost no more.
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known.expires_at > time.time():
            self._known.move_to_end(digest)
            return known
        identity = self._check.verify(token)
        self._known[digest] = identity
        if len(self._known) > CACHED_MAX:
            self._known.popitem(last=False)
        return identity

    async def bring_keys(self, authorization: str | None) -> None:
        """Waits, up to WAIT_S, until ``identify`` can say who it is, or that it is nobody. Raises nothing."""
        with trio.move_on_after(WAIT_S):
            while True:
                try:
                    self.identify(authorization)
                except KeysNeeded as needed:
                    await _done(needed.fetched)
                except Refusal:
                    return
                else:
                    return


async def _done(future: Future[None]) -> None:
    event, token = trio.Event(), trio.lowlevel.current_trio_token()

    def wake(_: Future[None]) -> None:
        # When the loop is gone, so is whoever waited.
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(event.set)

    future.add_done_callback(wake)
    await event.wait()
