"""Of several replicas one acts: leadership by a Lease, with a guard.

    stand ──▶ lead: act(epoch) runs, the Lease is renewed ──▶ stop, or lose ──▶ stand

A replica that is cut off or frozen does not know that another one leads by now. So
it does not ask whether it leads but how old the proof is: ``may_act`` is true for a
while after the last renewal that worked, counted from before it was sent, and that
while is shorter than the time after which others take over. It is asked right before
each write. The client's own election lacks this guard: cut off, it acts on.

What is left is one write that was on its way when the process froze. Scale writes
carry the version that they were decided on, commands carry the epoch.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from sluiceway.kube.errors import CONFLICT, NOT_FOUND, KubeError
from sluiceway.kube.lease import Lease, LeaseStore

log = logging.getLogger(__name__)


def boot_clock() -> float:
    """Seconds that never go back, and that count while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, kw_only=True, slots=True)
class LeasePace:
    """The times of an election, seconds."""

    lease_s: int = 15
    """Others take over when they have not seen the Lease change for so long."""
    renew_deadline_s: float = 10.0
    """A leader that could not renew for so long does not act any more."""
    retry_s: float = 2.0
    """Between two renewals, and between two attempts to lead."""

    def __post_init__(self) -> None:
        if not self.retry_s < self.renew_deadline_s < self.lease_s:
            raise ValueError("needs retry_s < renew_deadline_s < lease_s, or two may act at once")

    @property
    def call_s(self) -> float:
        """For one call: after one that hangs there is time for another."""
        return self.renew_deadline_s / 2


class Leadership:
    """One replica's part in the election."""

    def __init__(
        self,
        lease: LeaseStore,
        *,
        identity: str,
        pace: LeasePace | None = None,
        clock: Callable[[], float] = boot_clock,
        tried: Callable[[], None] = lambda: None,
    ) -> None:
        """Stand for nothing yet.

        Args:
            lease: through a client of its own, so that a renewal never waits behind others.
            identity: of this process, and of no other, an earlier one of this pod included.
            clock: never goes back, seconds.
            tried: called at each attempt to lead or to go on leading, whatever comes of it.
        """
        self.problem: str | None = None
        """Why the last attempt to lead, or to go on leading, failed, as a sentence."""
        self._lease = lease
        self._identity = identity
        self._pace = pace or LeasePace()
        self._clock = clock
        self._tried = tried
        self._seen: Lease | None = None
        self._seen_at = clock()
        self._renewed_at: float | None = None
        self._epoch: int | None = None
        self._highest_epoch = 0

    def may_act(self) -> bool:
        """Whether this replica is known to be the only one that acts, at this moment."""
        return (
            self._epoch is not None
            and self._renewed_at is not None
            and self._clock() - self._renewed_at < self._pace.renew_deadline_s
        )

    @property
    def epoch(self) -> int | None:
        """The number of this term (leaseTransitions), higher than any before; None outside."""
        return self._epoch

    async def run(self, act: Callable[[int], Awaitable[None]]) -> None:
        """Stand, lead, and stand again after a loss, until cancelled.

        Args:
            act: what a leader does, given its epoch. Cancelled when leadership ends, and
                awaited before this replica stands again. If it returns, so does this.

        Raises:
            Exception: what ``act`` raised.
        """
        try:
            while await self._lead(await self._stand(), act):
                log.warning("leadership is lost: %s; standing again", self.problem)
        finally:
            await self._release()

    async def _stand(self) -> int:
        """Return the epoch once this replica leads."""
        while True:
            try:
                epoch = await self._try_to_lead()
            except KubeError as exc:
                self.problem = str(exc)
            else:
                self.problem = None
                if epoch is not None:
                    log.info("%s leads, epoch %d", self._identity, epoch)
                    return epoch
            await asyncio.sleep(self._pace.retry_s * (0.5 + random.random()))

    async def _try_to_lead(self) -> int | None:
        self._tried()
        timeout_s = self._pace.call_s
        there = await self._lease.read(timeout_s=timeout_s)
        if there is not None:
            self._see(there)
            if not self._is_free(there):
                return None
        epoch = self._highest_epoch + 1
        # Before the call: nobody else can count from an earlier moment.
        asked_at = self._clock()
        duration_s = self._pace.lease_s
        if there is None:
            taken = await self._lease.create(
                self._identity, duration_s=duration_s, transitions=epoch, timeout_s=timeout_s
            )
        else:
            taken = await self._lease.take(
                there,
                self._identity,
                duration_s=duration_s,
                transitions=epoch,
                timeout_s=timeout_s,
            )
        self._see(taken)
        self._renewed_at = asked_at
        self._epoch = epoch
        return epoch

    def _see(self, lease: Lease) -> None:
        """Remember since when it looks as it does: others' clocks are not to be trusted."""
        before = self._seen.metadata if self._seen is not None else None
        if before is None or before.resource_version != lease.metadata.resource_version:
            self._seen_at = self._clock()
        self._seen = lease
        # A Lease that was deleted and made anew must not begin again at the first epoch.
        self._highest_epoch = max(self._highest_epoch, lease.spec.lease_transitions)

    def _is_free(self, lease: Lease) -> bool:
        if lease.spec.holder_identity in (None, "", self._identity):
            return True
        lasts_s = max(self._pace.lease_s, lease.spec.lease_duration_seconds or 0)
        return self._clock() - self._seen_at > lasts_s

    async def _lead(self, epoch: int, act: Callable[[int], Awaitable[None]]) -> bool:
        """Act and renew until one of them ends; whether it was leadership that ended."""
        acting = asyncio.ensure_future(act(epoch))
        try:
            while not acting.done() and self.may_act():
                await asyncio.wait([acting], timeout=self._pace.retry_s)
                if not acting.done() and not await self._renew():
                    break
            lost = not acting.done()
        finally:
            # First of all: from here on no write is begun, whatever ``act`` still does.
            self._epoch = None
            acting.cancel()
            await asyncio.wait([acting])
        if not acting.cancelled():
            acting.result()
        return lost

    async def _renew(self) -> bool:
        """Try once; False when another leads for certain. Failing to ask proves nothing."""
        self._tried()
        assert self._seen is not None
        asked_at = self._clock()
        try:
            self._see(await self._renewed(self._seen))
        except KubeError as exc:
            self.problem = str(exc)
            if exc.status == NOT_FOUND:
                return False
            return exc.status != CONFLICT or await self._still_holds()
        self._renewed_at = asked_at
        self.problem = None
        return True

    async def _renewed(self, lease: Lease) -> Lease:
        assert self._renewed_at is not None
        left_s = self._renewed_at + self._pace.renew_deadline_s - self._clock()
        return await self._lease.renew(
            lease,
            self._identity,
            duration_s=self._pace.lease_s,
            timeout_s=max(0.0, min(self._pace.call_s, left_s)),
        )

    async def _still_holds(self) -> bool:
        """The Lease is not as it was written: by another leader, or by us in a call cut short."""
        try:
            there = await self._lease.read(timeout_s=self._pace.retry_s)
        except KubeError as exc:
            self.problem = str(exc)
            return True
        if there is None:
            return False
        self._see(there)
        spec = there.spec
        if spec.holder_identity != self._identity or spec.lease_transitions != self._epoch:
            self.problem = f"{spec.holder_identity or 'nobody'} holds the Lease by now"
            return False
        return True

    async def _release(self) -> None:
        """Let others lead at once, where it is still ours."""
        self._epoch = None
        if self._seen is None or self._seen.spec.holder_identity != self._identity:
            return
        with suppress(KubeError):  # then they wait for as long as the Lease lasts
            await self._lease.release(self._seen, timeout_s=self._pace.retry_s)
