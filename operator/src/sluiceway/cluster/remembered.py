"""What was seen and is gone since, by fleet, for as long as it may still matter."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Bucket = tuple[str, str]
"""A namespace, and the value of our label."""


class Remembered(Generic[K, V]):
    """Values by key, in buckets; each is forgotten when its time is over."""

    def __init__(self, for_s: float) -> None:
        """Nothing yet.

        Args:
            for_s: so long, seconds.
        """
        self._for_s = for_s
        self._kept: defaultdict[Bucket, dict[K, V]] = defaultdict(dict)
        self._since: deque[tuple[float, Bucket, K]] = deque()
        """The oldest first."""

    def of(self, bucket: Bucket) -> Mapping[K, V]:
        """All of one bucket."""
        return self._kept.get(bucket, {})

    def note(self, bucket: Bucket, key: K, value: V, now: float) -> None:
        """Remember it from now on (monotonic, seconds)."""
        self._kept[bucket][key] = value
        self._since.append((now, bucket, key))

    def forget_old(self, now: float) -> None:
        """Forget what has been remembered for long enough."""
        while self._since and now - self._since[0][0] > self._for_s:
            _, bucket, key = self._since.popleft()
            self._kept[bucket].pop(key, None)
            if not self._kept[bucket]:
                del self._kept[bucket]
