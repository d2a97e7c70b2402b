"""The issuers whose tokens are accepted: whose keys lie in a file, and whose are published at an address.

The latter are fetched by one thread for each issuer, so that they serve the edge, which runs on trio, as well as the
services, which run on asyncio.
"""

import ssl
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from threading import Condition, Thread
from typing import Self

from prometheus_client import Counter, Gauge

from livecomments.errors import Reason, Refusal
from livecomments.key_fetch import FETCH_S, FetchError, fetch
from livecomments.key_ring import KeyRing, Missing, Patience
from livecomments.key_sets import BadKeySet, read_key_set
from livecomments.settings import Settings, SettingsError
from livecomments.telemetry import log
from livecomments.token_check import PUBLISHED, SHARED, CheckingKey, IssuerKeys, KeysNeeded, SharedSecret, TokenCheck

WAIT_S = FETCH_S + 0.5
"""How long a token may wait for its key."""

_FETCHES = Counter("livecomments_jwks_fetches_total", "Fetches of an issuer's keys", ["issuer", "outcome"])
_AGE = Gauge("livecomments_jwks_age_seconds", "How long ago an issuer's keys were fetched", ["issuer"])


class PublishedKeys:
    """An issuer's keys, kept up to date while the context is open; any thread may ask."""

    def __init__(self, issuer: str, url: str, context: ssl.SSLContext, patience: Patience) -> None:
        self._issuer = issuer
        self._url = url
        self._context = context
        self._ring = KeyRing(patience)
        self._changed = Condition()
        """Guards the ring, and what follows."""
        self._fetched: Future[None] | None = None
        """Done with the fetch that is wanted or under way; all who wait share it."""
        self._is_closed = False
        self._thread = Thread(target=copy_context().run, args=(self._keep,), name="jwks", daemon=True)
        _AGE.labels(issuer).set_function(lambda: self._ring.age_s(time.monotonic()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        # Looking a name up can't be interrupted: then the thread ends with the process.
        self._thread.join(FETCH_S)

    @property
    def revision(self) -> int:
        """Another one as soon as a key that was good may be so no longer."""
        return self._ring.revision(time.monotonic())

    def find(self, algorithm: str, kid: str) -> CheckingKey:
        """See IssuerKeys.find."""
        with self._changed:
            now = time.monotonic()
            found = self._ring.find(algorithm, kid, now)
            if isinstance(found, CheckingKey):
                return found
            if found is Missing.ASK and self._fetched is None:
                self._ring.asks(now)
                self._fetched = _future()
                self._changed.notify()
            if self._fetched is not None:
                raise KeysNeeded(fetched=self._fetched)
        if found is Missing.UNKNOWN:
            raise Refusal(Reason.UNAUTHENTICATED, "kid: is not a key of the token's issuer")
        raise Refusal(Reason.OVERLOADED, "the keys of the token's issuer can't be had", retry_after_ms=5_000)

    def _keep(self) -> None:
        """Fetches whenever that is due or asked for, until the context is closed."""
        is_well = True
        while self._wait():
            failure = self._fetch()
            if is_well and failure:
                log().warning("an issuer's keys can't be fetched", issuer=self._issuer, url=self._url, why=failure)
            elif failure is None and not is_well:
                log().info("an issuer's keys can be fetched again", issuer=self._issuer)
            is_well = failure is None

    def _fetch(self) -> str | None:
        """Why it failed; None when it did not."""
        keys, failure = None, None
        try:
            keys = read_key_set(fetch(self._url, self._context))
        except (FetchError, BadKeySet) as error:
            failure = str(error)
        except Exception as error:
            # The thread goes on whatever comes: who checks tokens would hear nothing of its end.
            log().error("fetching an issuer's keys failed", issuer=self._issuer, exc_info=error)
            failure = repr(error)
        _FETCHES.labels(self._issuer, "failed" if keys is None else "fetched").inc()
        with self._changed:
            if keys is None:
                self._ring.failed(time.monotonic())
            else:
                self._ring.told(keys, time.monotonic())
            fetched, self._fetched = self._fetched, None
        if fetched is not None:
            fetched.set_result(None)
        return failure

    def _wait(self) -> bool:
        """Until a fetch is due; False when there shall be no more."""
        with self._changed:
            while not self._is_closed and self._fetched is None:
                left_s = self._ring.due_at - time.monotonic()
                if left_s <= 0:
                    self._fetched = _future()
                else:
                    self._changed.wait(left_s)
            return not self._is_closed


def _future() -> Future[None]:
    """One that who waits for it can't cancel for the others."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


@contextmanager
def open_token_check(settings: Settings) -> Iterator[TokenCheck]:
    """What decides about users' tokens, in each of the services alike; raises SettingsError.

    Keys that are published are fetched from now on, and nobody waits here until they have come.
    """
    issuers: dict[tuple[str, str], IssuerKeys] = {}
    key = settings.shared_key()
    if key is not None:
        issuers[key.issuer, SHARED] = SharedSecret(key.secret)
    patience = Patience(settings.edge_jwks_refresh_s, settings.edge_jwks_stale_s)
    with ExitStack() as opened:
        for issuer, url in settings.key_urls().items():
            keys = opened.enter_context(PublishedKeys(issuer, url, _trusted(settings), patience))
            issuers |= {(issuer, algorithm): keys for algorithm in PUBLISHED}
        yield TokenCheck(issuers, settings.edge_jwt_audience, settings.edge_jwt_leeway_s)


def _trusted(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.edge_jwks_ca is not None:
        try:
            context.load_verify_locations(settings.edge_jwks_ca)
        except OSError as error:
            why = error.strerror or "holds no certificate"
            raise SettingsError(f"setting LIVECOMMENTS_EDGE_JWKS_CA: {settings.edge_jwks_ca}: {why}") from error
    return context
