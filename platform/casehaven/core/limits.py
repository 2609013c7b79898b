"""Rate limits of the api, in its memory: so many requests in a window, per kind of request and per whoever makes them.

1. A bucket holds so many requests and fills again evenly. An empty one answers 429 with the seconds until the next request.
2. The counts live in one process and end with it. Guesses of passwords and codes are counted in the store (`casehaven.signin`), where a restart changes nothing.
3. At most `KEPT` buckets of a kind are remembered; beyond that the oldest of the kind go first, so that no flood of addresses fills the memory or empties the buckets of members.
4. An address of IPv6 is its network of 64 bits (`casehaven.core.addresses`): one customer of a provider has them all.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from casehaven.core.request_errors import RateLimitedError

KEPT: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class Limit:
    """So many requests at once, and so many a minute after that."""

    burst: int
    per_minute: int


LIMITS: Final = {
    "address": Limit(burst=600, per_minute=1_200),  # every request of one address
    "signed-out": Limit(
        burst=60, per_minute=120
    ),  # what guarded routes refuse one address, because nobody is signed in
    "visitor": Limit(burst=240, per_minute=120),  # open routes and pages, of one address with nobody signed in
    "released": Limit(burst=20, per_minute=20),  # questions to published releases, and comparisons, of one address
    "member": Limit(burst=300, per_minute=600),  # every request of one member
    "upload": Limit(burst=20, per_minute=10),
    "person": Limit(burst=30, per_minute=30),  # looks at persons, of one member
    "export": Limit(burst=5, per_minute=1),
    "question": Limit(burst=60, per_minute=60),
}
"""Name of a kind of request: its limit."""


@dataclass
class Limits:
    """The buckets of one process."""

    limits: dict[str, Limit] = field(default_factory=lambda: dict(LIMITS))
    _buckets: dict[str, OrderedDict[str, tuple[float, float]]] = field(default_factory=dict, repr=False)
    """By kind, then by whose."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def spend(self, name: str, key: str, now: float) -> None:
        """Count a request.

        Args:
            name: of `LIMITS`.
            key: whose: an address, a member's id.
            now: seconds, from a clock that goes forward.

        Raises:
            RateLimitedError: there were too many.
        """
        limit = self.limits[name]
        with self._lock:
            buckets = self._buckets.setdefault(name, OrderedDict())
            left, at = buckets.pop(key, (float(limit.burst), now))
            left = min(float(limit.burst), left + max(0.0, now - at) * limit.per_minute / 60)
            enough = left >= 1
            buckets[key] = (left - 1 if enough else left, now)
            if len(buckets) > KEPT:
                buckets.popitem(last=False)
        if not enough:
            raise RateLimitedError(max(1, -int(-(1 - left) * 60 // limit.per_minute)))
