"""How much may be posted from one address: a token bucket each. Pure."""

import math
from collections import OrderedDict

from edge.addresses import network_of
from livecomments.errors import RateLimit, Reason, Refusal

ADDRESSES_MAX = 100_000
"""Addresses that are remembered; the ones longest unheard are forgotten first."""


class AddressLimit:
    """At most ``burst`` posts at once and ``rate`` a second from each address, or IPv6 /64; rate 0 lifts it."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, address: str, now: float) -> None:
        """Takes one from the address's bucket; raises Refusal(ADDRESS_RATE) when it is empty. ``now``: monotonic s."""
        if not self._rate:
            return
        address = network_of(address)
        tokens, since = self._buckets.get(address, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        if tokens < 1:
            limit = RateLimit("address", self._burst, math.ceil(self._burst / self._rate))
            wait_ms = math.ceil((1 - tokens) / self._rate * 1000)
            raise Refusal(
                Reason.ADDRESS_RATE, "too many posts from this address", retry_after_ms=wait_ms, rate_limit=limit
            )
        self._buckets[address] = (tokens - 1, now)
        self._buckets.move_to_end(address)
        if len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)
