"""How many requests a second the API server is asked at most: a token bucket. Pure."""

from __future__ import annotations


class Rate:
    """So many a second on the long run, and so many at once after a pause."""

    def __init__(self, per_s: float, burst: int) -> None:
        """The bucket is full.

        Args:
            per_s: above 0.
            burst: at least 1.
        """
        self._per_s = per_s
        self._burst = burst
        self._left = float(burst)
        self._at = float("-inf")

    def take(self, now: float) -> float:
        """Take the next place; returns how long to wait for it, seconds.

        Args:
            now: seconds on a clock that never goes back.
        """
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        self._left -= 1
        return max(0.0, -self._left / self._per_s)
