"""Whether this worker is to take no more work, and who says so. Pure: no clock, no I/O."""

from __future__ import annotations

from sluiceway_worker.wire import DRAIN_LEASE_TTL_MS


class Orders:
    """A drain lease that somebody renews, and the order to stop, which is final.

    Times are monotonic seconds. A lease that could not be read for its whole lifetime
    has ended: a worker that is cut off must not stay closed on an old word.
    """

    def __init__(self, lease_ttl_s: float = DRAIN_LEASE_TTL_MS / 1000) -> None:
        self._lease_ttl_s = lease_ttl_s
        self._lease_seen_at: float | None = None
        self.exit_code: int | None = None
        """What to leave with, once told to stop."""

    @property
    def stopping(self) -> bool:
        return self.exit_code is not None

    def lease(self, present: bool, now: float) -> None:
        """What the last read of the lease said."""
        self._lease_seen_at = now if present else None

    def stop(self, exit_code: int) -> None:
        self.exit_code = exit_code

    def closed(self, now: float) -> bool:
        """Whether nothing more is to be taken at this moment."""
        if self.stopping:
            return True
        seen = self._lease_seen_at
        return seen is not None and now - seen < self._lease_ttl_s
