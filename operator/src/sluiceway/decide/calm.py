"""When a change may wait: what keeps the number from following every breath of demand.

Where a wait target is aimed at, messages have time, and the number need not be exact: it
stays while demand is near it, and changes once in a while and not at every look. Whatever
is urgent, that is without which a message would start too late, waits for nothing. A
``behavior`` block that the user wrote stands in place of all this in its direction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sluiceway.decide import sentences_wait
from sluiceway.decide.decision import Reason
from sluiceway.decide.recommend import Recommendation
from sluiceway.decide.situation import Situation

NEAR = 0.2
"""How far, as a share, demand may lie from the number before that is changed."""

PAUSE_S = 15.0
"""Between two changes that are not urgent, as between two syncs of the HPA."""

HASTE = 1.5
"""As many times more as what was asked for last are urgent while that is on its way."""

LETTING_GO_S = 10.0
"""Those that have drained go together: a few of them once in so many seconds."""

MANY = 0.25
"""So large a share of the fleet goes at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calmed:
    """The number to want in place of the recommendation."""

    wanted: int
    reason: Reason | None = None
    """None: a part of the change is made, for the recommendation's own reason."""
    because: str = ""
    again_at: float | None = None


def calm(s: Situation, recommendation: Recommendation) -> Calmed | None:
    """What becomes of ``recommendation``; None: it is followed as it is."""
    wanted, urgent = recommendation.replicas, recommendation.urgent
    base = _aimed_at(s)
    if urgent is None or wanted in (0, base) or base == 0:
        return None
    up = wanted > base
    behavior = s.scaling.behavior
    if (behavior.scale_up if up else behavior.scale_down) is not None:
        return None
    if urgent > base:
        return _on_their_way(s, base) if urgent <= HASTE * base else None
    ratio = recommendation.amount / recommendation.per_replica / base
    if (ratio - 1 if up else 1 - wanted / base) <= NEAR:
        because = sentences_wait.near(ratio)
        return Calmed(wanted=base, reason=Reason.WITHIN_TOLERANCE, because=because)
    changed_at = s.history.aimed_at
    if changed_at is not None and s.now < changed_at + PAUSE_S:
        return Calmed(
            wanted=base,
            reason=Reason.STABILIZED,
            because=sentences_wait.paused_a_while(wanted, s.now - changed_at),
            again_at=changed_at + PAUSE_S,
        )
    if not up and s.demand.waiting > 0 and s.down.window_s == 0:
        # Nobody is idle, so there is no hurry; half of the way seldom has to be undone.
        return Calmed(wanted=base - math.ceil((base - wanted) / 2))
    return _on_their_way(s, base) if up else None


def _on_their_way(s: Situation, base: int) -> Calmed | None:
    raised_at = s.history.raised_at
    if raised_at is None:
        return None
    there_at = raised_at + s.history.learned.cold_start_or_prior_s
    if s.now >= there_at:
        return None
    because = sentences_wait.on_their_way(s.now - raised_at)
    return Calmed(wanted=base, reason=Reason.STABILIZED, because=because, again_at=there_at)


def _aimed_at(s: Situation) -> int:
    """The number to compare with: without those that are asked to go already."""
    aimed = s.history.aimed
    return s.current if aimed is None else min(s.current, aimed)


def may_let_go(s: Situation, desired: int, drained: int) -> bool:
    """Whether ``drained`` workers that have finished go now, on the way to ``desired``."""
    if desired == 0 or s.current > s.high or s.scaling.behavior.scale_down is not None:
        return True
    if drained >= max(1.0, MANY * s.current):
        return True
    last = max(s.history.lowered_at or 0.0, s.history.aimed_at or 0.0)
    return s.now >= last + LETTING_GO_S
