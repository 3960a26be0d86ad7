"""How long to wait before a worker that ended by itself is started again.

As a kubelet does: longer and longer, and afresh once a worker has run well.
Pure; the caller brings the time.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 1.0
LONGEST_S = 60.0
RAN_WELL_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """A fleet's failures in a row, and when it may start workers again."""

    failures: int = 0
    failed_at: float | None = None
    """When the newest of them was seen, seconds on the caller's clock."""
    until: float = 0.0
    """No worker is started before this time."""

    def after_exit(self, *, started_at: float, now: float) -> Backoff:
        """What holds after a worker that started at ``started_at`` ended by itself.

        After it has run well, the next one starts at once. Else the n-th failure in
        a row waits 2**(n-1) seconds, a minute at most. Ten workers that were started
        together and fail together are one failure: those of them that started
        before the last failure was seen do not count again.
        """
        if now - started_at >= RAN_WELL_S:
            return Backoff(failures=1, failed_at=now, until=now)
        if self.failed_at is not None and started_at <= self.failed_at:
            return self
        failures = self.failures + 1
        wait = min(FIRST_S * 2 ** min(failures - 1, 10), LONGEST_S)
        return Backoff(failures=failures, failed_at=now, until=now + wait)
