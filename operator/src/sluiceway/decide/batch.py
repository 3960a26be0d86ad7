"""Workers that have finished go together: one change of the number in place of several.

Whoever has drained costs its time while it waits for the others, and each change of the
number costs those who carry it out. Waiting until the first has come to as much as the
second is what whoever knows no future does best: it costs at most twice what could be had
(the problem of the delayed acknowledgement: Dooly, Goldman and Scott, 1998).
"""

from __future__ import annotations

from sluiceway.decide.history import Drained
from sluiceway.decide.situation import Situation

CHANGE_S = 30.0
"""What a change of the number is worth, worker-seconds."""

_ROUNDING_S = 1e-3
"""The sums are of Unix times, which floats have to a fraction of a microsecond."""


def may_go(s: Situation) -> bool:
    """Whether those that have drained go now.

    It reads what was decided last and what became of it, and not what is wanted now:
    with more demand nobody goes who would have stayed with less.
    """
    if s.current > s.high or s.scaling.behavior.scale_down is not None:
        return True
    last = s.history
    if last.drained.cost_s(s.now) >= CHANGE_S - _ROUNDING_S:
        return True
    last_goes_at = last.cools_down_at
    if last_goes_at is not None and last.drained.cost_s(last_goes_at) <= CHANGE_S:
        # The last worker of an idle fleet goes soon enough for all others to go with it.
        return False
    return bool(last.draining) and _all_done(s)


def worth_it_at(drained: Drained) -> float | None:
    """When those that wait will have cost as much as a change, Unix seconds."""
    if drained.workers == 0:
        return None
    return drained.at + (CHANGE_S - drained.spent_s) / drained.workers


def _all_done(s: Situation) -> bool:
    """Whether nobody is left to wait for of those that were asked to go."""
    return not any(
        worker.active or worker.reserved or worker.scheduled
        for worker in s.observation.workers
        if worker.incarnation in s.history.draining
    )
