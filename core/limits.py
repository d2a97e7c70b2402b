"""How often one user may post in one stream: a token bucket and slow mode, as a function of the log alone.

The bucket is kept as the moment at which it would be full again (GCRA), on the clock of ``posted_at_ms``. Refusals
cost nothing and comments are charged as they stand in the log, so every core that reads the same log decides alike.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from livecomments.errors import RateLimit, Reason, Refusal

USERS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class UserRate:
    """Comments a second in the long run (0: any number), and how many at once."""

    per_s: float
    burst: int

    @property
    def interval_ms(self) -> float:
        return 1000 / self.per_s if self.per_s else 0.0

    @property
    def window_ms(self) -> float:
        """How long an empty bucket takes to fill."""
        return self.interval_ms * self.burst


_Charged = tuple[float, int, tuple[str, ...]]
"""When to see whether they may post freely again; when they posted; who. Times in ms since the Unix epoch."""


class UserLimits:
    """What the users of one stream have spent. Holds those who may not post freely now, at most ``users_max``."""

    def __init__(self, rate: UserRate, users_max: int = USERS_MAX) -> None:
        self._interval_ms = rate.interval_ms
        self._window_ms = rate.window_ms
        self._policy = RateLimit("user", rate.burst, math.ceil(rate.window_ms / 1000))
        self._users_max = users_max
        # Strings, numbers, and tuples of them: what can refer to nothing else the garbage collector leaves alone. With
        # a pair for each of 100,000 users it stopped everything for 100 ms.
        self._full_at_ms: dict[str, float] = {}
        self._last_ms: dict[str, int] = {}
        self._charged: deque[_Charged] = deque()

    def __len__(self) -> int:
        return len(self._last_ms)

    def full_at(self, user_id: str) -> float | None:
        """When a user's bucket is full again, ms since the Unix epoch; None for one who may post freely."""
        return self._full_at_ms.get(user_id)

    def admit(self, user_id: str, drafted_ms: float | None, at_ms: int, slow_mode_s: int) -> float:
        """When the bucket of a user who posts at ``at_ms`` will be full again.

        ``drafted_ms``: what this said for a post of theirs at ``at_ms`` that is decided and not charged yet. Raises
        Refusal(SLOW_MODE) or Refusal(USER_RATE), which say when to try again.
        """
        if drafted_ms is None:
            last_ms = self._last_ms.get(user_id)
            if last_ms is None:
                return at_ms + self._interval_ms
            full_at_ms = self._full_at_ms[user_id]
        else:
            full_at_ms, last_ms = drafted_ms, at_ms
        wait_ms = last_ms + slow_mode_s * 1000 - at_ms
        if slow_mode_s and wait_ms > 0:
            detail = f"slow mode: one comment in {slow_mode_s} s"
            limit = RateLimit("slow_mode", 1, slow_mode_s)
            raise Refusal(Reason.SLOW_MODE, detail, retry_after_ms=wait_ms, rate_limit=limit)
        full_at_ms = max(full_at_ms, at_ms) + self._interval_ms
        over_ms = full_at_ms - at_ms - self._window_ms
        # A thousandth absorbs what floating point adds up to.
        if over_ms > 0.001:
            detail = f"at most {self._policy.quota} comments in {self._policy.window_s} s"
            raise Refusal(Reason.USER_RATE, detail, retry_after_ms=math.ceil(over_ms), rate_limit=self._policy)
        return full_at_ms

    def charged(self, user_id: str, drafted_ms: float | None, at_ms: int) -> float:
        """The same for one who need not ask."""
        full_at_ms = self._full_at_ms.get(user_id, at_ms) if drafted_ms is None else drafted_ms
        return max(full_at_ms, at_ms) + self._interval_ms

    def charge(self, user_ids: Iterable[str], at_ms: int) -> Mapping[str, float]:
        """Comments of these users stand in the log, all of one time; who has several is named as often.

        Returns when the bucket of each is full again.
        """
        full_at_ms: dict[str, float] = {}
        for user_id in user_ids:
            full_at_ms[user_id] = self.charged(user_id, full_at_ms.get(user_id), at_ms)
        self.adopt(full_at_ms, at_ms)
        return full_at_ms

    def adopt(self, full_at_ms: Mapping[str, float], at_ms: int) -> None:
        """Comments of these users stand in the log, the last of each posted at ``at_ms``: what ``admit`` or ``charged``
        said for it.
        """
        self._full_at_ms.update(full_at_ms)
        self._last_ms.update(dict.fromkeys(full_at_ms, at_ms))
        self._watch(at_ms, full_at_ms, at_ms)

    def restore(self, user_ids: Sequence[str], full_at_ms: Sequence[float], last_ms: Sequence[int]) -> None:
        """These users had spent so much, as another core says: each by its place."""
        self._full_at_ms.update(zip(user_ids, full_at_ms, strict=True))
        self._last_ms.update(zip(user_ids, last_ms, strict=True))
        for at_ms, together in groupby(zip(last_ms, user_ids, strict=True), itemgetter(0)):
            self._watch(at_ms, [user_id for _, user_id in together], at_ms)

    def forget(self, at_ms: int, slow_mode_s: int) -> None:
        """Drops those who may post freely at ``at_ms`` again, and the longest silent when there are too many."""
        charged, full_at_ms, last_ms = self._charged, self._full_at_ms, self._last_ms
        slow_ms = slow_mode_s * 1000
        while charged and (charged[0][0] <= at_ms or len(last_ms) > self._users_max):
            _, posted_at_ms, user_ids = charged.popleft()
            held: list[str] = []
            for user_id in user_ids:
                if last_ms.get(user_id) != posted_at_ms:
                    continue  # it posted again, and stands there
                is_held = full_at_ms[user_id] > at_ms or posted_at_ms + slow_ms > at_ms
                if is_held and len(last_ms) <= self._users_max:
                    held.append(user_id)
                else:
                    del full_at_ms[user_id], last_ms[user_id]
            self._watch(posted_at_ms, held, at_ms + slow_ms)

    def _watch(self, at_ms: int, user_ids: Iterable[str], from_ms: float) -> None:
        if users := tuple(user_ids):
            self._charged.append((from_ms + self._interval_ms, at_ms, users))
