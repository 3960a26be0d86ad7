"""When a change may wait: what keeps the number from following every breath of demand.

Where a wait target is aimed at, messages have time, and the number need not be exact. It is
raised where a message would start too late otherwise, and lowered where somebody is idle.
A ``behavior`` block that the user wrote stands in place of this in its direction.
"""

from __future__ import annotations

from dataclasses import dataclass

from sluiceway.decide import sentences_wait
from sluiceway.decide.decision import Reason
from sluiceway.decide.observation import WorkerState
from sluiceway.decide.recommend import Recommendation, max_wait_s
from sluiceway.decide.situation import Situation

NEAR = 0.2
"""How far, as a share, demand may lie below the number before that is lowered; and above
it, where a new worker would come late anyway."""

HASTE = 1.5
"""As many times more are a small step: it waits for its last moment, and for those that are
on their way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calmed:
    """The number stays as it is, in place of the recommendation."""

    wanted: int
    reason: Reason
    because: str
    again_at: float | None = None


def calm(s: Situation, recommendation: Recommendation) -> Calmed | None:
    """What becomes of ``recommendation``; None: it is followed as it is."""
    wanted = recommendation.replicas
    base = _aimed_at(s)
    if recommendation.urgent is None or wanted in (0, base) or base == 0:
        return None
    behavior = s.scaling.behavior
    if wanted > base:
        return _raised(s, recommendation, base) if behavior.scale_up is None else None
    return _lowered(s, recommendation, base) if behavior.scale_down is None else None


def _raised(s: Situation, recommendation: Recommendation, base: int) -> Calmed | None:
    urgent, latest = recommendation.urgent or 0, recommendation.latest
    ratio = _ratio(recommendation, base)
    if urgent <= base and not (_comes_late(s) and ratio > 1 + NEAR):
        # Those that wait start in time, and a worker with messages before it is never idle.
        because = sentences_wait.not_urgent(ratio)
        return Calmed(wanted=base, reason=Reason.STABILIZED, because=because)
    if latest is not None and latest <= max(base + 1, HASTE * base):
        # What comes meanwhile is then asked for in the same step, or none is needed.
        return Calmed(
            wanted=base,
            reason=Reason.STABILIZED,
            because=sentences_wait.not_yet(recommendation.replicas),
            again_at=recommendation.last_moment,
        )
    return _on_their_way(s, base) if urgent <= HASTE * base else None


def _comes_late(s: Situation) -> bool:
    """Whether a new worker takes longer than a message may wait, so that nothing that is
    there yet can tell when it is needed."""
    wait_s = max_wait_s(s.scaling.target)
    return wait_s is not None and s.history.learned.cold_start_or_prior_s > wait_s


def _lowered(s: Situation, recommendation: Recommendation, base: int) -> Calmed | None:
    if 1 - recommendation.replicas / base <= NEAR:
        because = sentences_wait.near(_ratio(recommendation, base))
        return Calmed(wanted=base, reason=Reason.WITHIN_TOLERANCE, because=because)
    if s.demand.waiting - s.demand.due_soon > _idle_slots(s):
        because = sentences_wait.nobody_idle(recommendation.replicas)
        return Calmed(wanted=base, reason=Reason.STABILIZED, because=because)
    return None


def _idle_slots(s: Situation) -> int:
    """Slots that a message would find free."""
    return sum(
        max(0, worker.slots - worker.active - worker.reserved)
        for worker in s.observation.workers
        if worker.state is WorkerState.CONSUMING
    )


def _on_their_way(s: Situation, base: int) -> Calmed | None:
    raised_at = s.history.raised_at
    if raised_at is None:
        return None
    there_at = raised_at + s.history.learned.cold_start_or_prior_s
    if s.now >= there_at:
        return None
    because = sentences_wait.on_their_way(s.now - raised_at)
    return Calmed(wanted=base, reason=Reason.STABILIZED, because=because, again_at=there_at)


def _ratio(recommendation: Recommendation, base: int) -> float:
    return recommendation.amount / recommendation.per_replica / base


def _aimed_at(s: Situation) -> int:
    """The number to compare with: without those that are asked to go already."""
    aimed = s.history.aimed
    return s.current if aimed is None else min(s.current, aimed)
