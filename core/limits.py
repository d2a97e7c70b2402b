"""How often one user may post in one stream: a token bucket and slow mode, as a function of the log alone.

The bucket is kept as the moment at which it would be full again (GCRA), on the clock of ``posted_at_ms``. Refusals
cost nothing and comments are charged as they stand in the log, so every core that reads the same log decides alike.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

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


Spent = tuple[float, int]
"""When a user's bucket is full again, and when they last posted; both ms since the Unix epoch."""


class UserLimits:
    """What the users of one stream have spent. Holds those who may not post freely now, at most ``users_max``."""

    def __init__(self, rate: UserRate, users_max: int = USERS_MAX) -> None:
        self._interval_ms = rate.interval_ms
        self._window_ms = rate.window_ms
        self._policy = RateLimit("user", rate.burst, math.ceil(rate.window_ms / 1000))
        self._users_max = users_max
        self._spent: OrderedDict[str, Spent] = OrderedDict()

    def __len__(self) -> int:
        return len(self._spent)

    def spent(self, user_id: str) -> Spent | None:
        return self._spent.get(user_id)

    def admit(self, spent: Spent | None, at_ms: int, slow_mode_s: int) -> Spent:
        """What a user who has ``spent`` will have spent after posting at ``at_ms``.

        Raises Refusal(SLOW_MODE) or Refusal(USER_RATE), which say when to try again.
        """
        if spent is None:
            return at_ms + self._interval_ms, at_ms
        full_at_ms, last_ms = spent
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
        return full_at_ms, at_ms

    def charge(self, user_id: str, at_ms: int) -> None:
        """A comment of this user stands in the log."""
        spent = self._spent.pop(user_id, None)
        full_at_ms = at_ms if spent is None else max(spent[0], at_ms)
        self._spent[user_id] = full_at_ms + self._interval_ms, at_ms

    def forget(self, at_ms: int, slow_mode_s: int) -> None:
        """Drops those who may post freely at ``at_ms`` again, and the longest silent when there are too many."""
        spent = self._spent
        while spent:
            full_at_ms, last_ms = next(iter(spent.values()))
            if len(spent) <= self._users_max and (full_at_ms > at_ms or last_ms + slow_mode_s * 1000 > at_ms):
                return
            spent.popitem(last=False)
