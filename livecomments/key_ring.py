"""The keys that one issuer has published: which are good, and when to ask for them again. Pure.

Times are monotonic seconds, which the caller tells. Keys are asked for again from time to time, so that one that was
taken out of the set is soon good no more, and when a token names one that is not known, so that a new one is good at
once; the latter seldom, as anyone can name keys that nobody has.
"""

import math
from enum import Enum
from typing import NamedTuple

from livecomments.key_sets import KeySet
from livecomments.token_check import CheckingKey

ASK_EVERY_S = 10.0
"""How long unknown names make nobody ask after one has."""
_RETRY_MOST = 8
"""Times ASK_EVERY_S, the longest pause after failures."""


class Patience(NamedTuple):
    """How old keys may be."""

    refresh_s: float
    """They are asked for again after so long."""
    stale_s: float
    """They are good for so long while they can't be had anew."""
    ask_every_s: float = ASK_EVERY_S


class Missing(Enum):
    """Why there is no key."""

    ASK = "it may be there by now: ask"
    UNKNOWN = "the issuer has none of this name"
    UNREACHABLE = "the issuer can't be asked"


class KeyRing:
    """What was told last. Not for several threads at once."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._keys = KeySet({})
        self._told_at = -math.inf
        self._asked_at = -math.inf
        """When an unknown name made somebody ask."""
        self._failures = 0
        """Since it was told."""
        self._withdrawn = 0
        self.due_at = -math.inf
        """When to ask again, whoever needs it or not."""

    def age_s(self, now: float) -> float:
        """How long ago the keys were told; infinite before that."""
        return now - self._told_at

    def is_stale(self, now: float) -> bool:
        """No key may be used: they were never told, or too long ago."""
        return self.age_s(now) > self._patience.stale_s

    def revision(self, now: float) -> int:
        """Another one as soon as a key that was good may be so no longer."""
        return 2 * self._withdrawn + self.is_stale(now)

    def find(self, algorithm: str, kid: str, now: float) -> CheckingKey | Missing:
        """The key of that name, or why there is none. After ASK, say that one ``asks``."""
        key = None if self.is_stale(now) else self._keys.find(algorithm, kid)
        if key is not None:
            return key
        if now - self._asked_at >= self._patience.ask_every_s:
            return Missing.ASK
        return Missing.UNREACHABLE if self._failures or self.is_stale(now) else Missing.UNKNOWN

    def asks(self, now: float) -> None:
        """An unknown name makes somebody ask, now."""
        self._asked_at = now

    def told(self, keys: KeySet, now: float) -> None:
        """These are the issuer's keys; others of it are good no more."""
        if not keys.has_all_of(self._keys):
            self._withdrawn += 1
        self._keys, self._told_at, self._failures = keys, now, 0
        self.due_at = now + self._patience.refresh_s

    def failed(self, now: float) -> None:
        """The issuer could not be asked, or gave no keys: what it told before stays good for a while."""
        pause_s = self._patience.ask_every_s * min(2**self._failures, _RETRY_MOST)
        self._failures = min(self._failures + 1, _RETRY_MOST)
        self.due_at = now + min(pause_s, self._patience.refresh_s)
