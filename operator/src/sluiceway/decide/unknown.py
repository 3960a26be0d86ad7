"""What is wanted while demand is unknown, in part or altogether.

Unknown is never zero: the fleet stays where it is, may grow for what is known, and
after enough such readings in a row goes to its fallback. Only a fallback that says
``static`` lowers it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sluiceway.api.scaling import Fallback
from sluiceway.decide import sentences
from sluiceway.decide.decision import Reason
from sluiceway.decide.situation import Situation


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The number in place of a recommendation."""

    wanted: int
    reason: Reason
    because: str
    by_command: bool = False
    """The user wrote this number down for this case: it may lower the fleet."""


def hold(s: Situation, problem: str, known: int) -> Held:
    """What to hold while ``problem`` lasts; ``known`` is what the readable part asks for."""
    fallback = s.scaling.fallback
    # KEDA's comparison: the reading after the threshold is the first to fall back.
    if fallback is not None and s.history.unknown_readings > fallback.failure_threshold:
        return Held(
            wanted=max(known, _fallback_replicas(fallback, s.current)),
            reason=Reason.FALLBACK,
            because=sentences.fallback(
                problem, s.history.unknown_readings, fallback.behavior, fallback.replicas
            ),
            by_command=fallback.behavior == "static",
        )
    mismatch = s.observation.mismatch is not None and s.observation.broker_problem is None
    return Held(
        wanted=max(known, s.current),
        reason=Reason.BROKER_MISMATCH if mismatch else Reason.BROKER_UNKNOWN,
        because=sentences.held_unknown(problem),
    )


def _fallback_replicas(fallback: Fallback, current: int) -> int:
    if fallback.behavior == "static":
        return fallback.replicas
    if fallback.behavior == "currentReplicasIfHigher":
        return max(current, fallback.replicas)
    # currentReplicas; and currentReplicasIfLower, whose other half would take workers
    # away on no knowledge at all, which is left to static.
    return current
