"""Carrying a decision out: first the drain leases, then the fleet.

A decision names who is to drain; whoever drains and is not named is recalled by
deleting its lease. It names how many workers to ask for and who may go. Nothing
is sent where the world already matches, except a lease that is still wanted:
that is renewed every time, or its worker goes back to work (which is what must
happen when nobody leads any more).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from sluiceway.decide.decision import Decision
from sluiceway.decide.observation import Observation, WorkerState

_NOBODY: frozenset[str] = frozenset()
"""One for all: each fleet keeps what is returned here until its next tick."""


class Leases(Protocol):
    """What is written into the fleet's broker: drain requests, and tidying."""

    async def set(self, *, hold: Collection[str], recall: Collection[str]) -> None:
        """Ask some to drain, for one lease's time from now, and others to consume again."""

    async def forget(self, incarnations: Collection[str]) -> None:
        """Take incarnations that are gone off the list of workers."""


class Scalable(Protocol):
    """Whatever runs a fleet's workers: a Deployment, or processes of this machine."""

    @property
    def replicas(self) -> int:
        """How many workers are asked for."""

    @property
    def marked(self) -> frozenset[str]:
        """The workers that are marked as those to go, and are still there."""

    @property
    def leaving(self) -> frozenset[str]:
        """The workers that were let go, while nobody has been told to go in answer."""

    async def scale(self, replicas: int, remove: tuple[str, ...]) -> None:
        """Ask for this many; the named workers are the ones to go."""


async def carry_out(
    decision: Decision,
    observation: Observation,
    *,
    fleet: Scalable,
    leases: Leases,
    leased: frozenset[str],
) -> frozenset[str]:
    """Make the world match ``decision``.

    A broker that takes no commands does not keep a fleet from growing: the fleet
    is scaled even where the leases failed, and the failure is raised afterwards.

    Args:
        observation: what the decision was made on; names who drains already,
            also at somebody else's request (an earlier leader's).
        leased: the incarnations that were asked to drain before and not recalled
            since. One that was asked a moment ago may not say so yet.

    Returns:
        The incarnations that hold a lease now, for the next time.
    """
    wanted = frozenset(decision.drain) if decision.drain else _NOBODY
    # Who goes keeps its lease until it lapses: it must not take a last task
    # between a recall and its SIGTERM.
    going = fleet.leaving.union(decision.remove)
    staying = {
        worker.incarnation: worker.state
        for worker in observation.workers
        if worker.incarnation is not None
        and worker.state is not WorkerState.STOPPING
        and worker.name not in going
    }
    recalled = {
        incarnation
        for incarnation, state in staying.items()
        if incarnation not in wanted
        and (incarnation in leased or state in (WorkerState.DRAINING, WorkerState.DRAINED))
    }
    try:
        if wanted or recalled:
            await leases.set(hold=wanted, recall=recalled)
    finally:
        if decision.replicas != fleet.replicas or decision.remove or fleet.marked:
            await fleet.scale(decision.replicas, decision.remove)
    return wanted
