"""How long to wait before the API server is asked again.

Longer and longer, never at the same moment as others, and never earlier than the
server asks for. Pure; the caller brings the time and the luck.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 0.5
LONGEST_S = 10.0
"""What recovery takes longer than the outage at most."""
STABLE_S = 30.0
"""After so long without a failure the next one counts as the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """The failures in a row so far."""

    failures: int = 0
    failed_at: float = float("-inf")
    """When the newest of them was seen, seconds on the caller's clock."""

    def after_failure(self, now: float) -> Backoff:
        """What holds once it failed again."""
        in_a_row = now - self.failed_at < self.wait_at_most_s + STABLE_S
        return Backoff(failures=self.failures + 1 if in_a_row else 1, failed_at=now)

    @property
    def wait_at_most_s(self) -> float:
        """0.5 s, doubled with each failure, at most 10 s; 0 before the first."""
        if self.failures == 0:
            return 0.0
        return min(FIRST_S * 2.0 ** min(self.failures - 1, 10), LONGEST_S)

    def wait_s(self, luck: float, retry_after_s: float = 0.0) -> float:
        """How long to wait now, seconds.

        Args:
            luck: in [0, 1), drawn anew each time, so that not all clients come back at once.
            retry_after_s: what the server asked for; waited on top of a share of luck.
        """
        wait = self.wait_at_most_s * (0.5 + 0.5 * luck)
        return max(wait, retry_after_s + luck)
