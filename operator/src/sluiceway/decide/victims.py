"""Who leaves when there are more workers than wanted, and who of them may go now.

Leaving takes two steps. A victim is first asked to drain (a lease, renewed from tick
to tick), and goes once it says that it has nothing left. The choice is the same for
the same input, and the same workers stay chosen from tick to tick: a worker that is
recalled and drained in turns would serve nobody.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sluiceway.decide.observation import WorkerState, WorkerView
from sluiceway.decide.remaining import remaining_s

_MAY_LEAVE = frozenset(
    {WorkerState.STARTING, WorkerState.CONSUMING, WorkerState.DRAINING, WorkerState.DRAINED}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaving:
    """The choice of one tick."""

    drain: tuple[str, ...] = ()
    """Incarnations that a lease is held for, in order."""
    remove: tuple[str, ...] = ()
    """Names that may go now, in order."""


def choose(
    workers: Iterable[WorkerView],
    *,
    surplus: int,
    wanted: int,
    leased: Collection[str],
    run_s: float | None,
) -> Leaving:
    """Choose up to ``surplus`` workers to leave, and keep at least ``wanted`` others.

    ``leased`` are the incarnations that were draining already; ``run_s`` is the mean run
    time, None while unknown. A worker that fell silent is not chosen: it cannot be
    asked, and what it runs is not known. One that is stopping leaves by itself.
    """
    candidates = [w for w in workers if w.state in _MAY_LEAVE]
    going = min(surplus, len(candidates) - wanted)
    if going <= 0:
        return Leaving()
    chosen = sorted(candidates, key=lambda w: _order(w, leased, run_s))[:going]
    return Leaving(
        drain=tuple(sorted(w.incarnation for w in chosen if w.incarnation is not None)),
        remove=tuple(sorted(w.name for w in chosen if _may_go(w))),
    )


def without_asking(workers: Iterable[WorkerView], *, surplus: int) -> Leaving:
    """Choose up to ``surplus`` workers to remove when no lease can be written.

    Only for a command of the user's while the broker cannot be read. SIGTERM makes a
    worker drain by itself, so what it runs is finished here too; those that are known
    to run something are left out all the same.
    """
    idle = [
        w
        for w in workers
        if w.state is not WorkerState.STOPPING and w.active == 0 and w.reserved == 0
    ]
    chosen = sorted(idle, key=lambda w: (w.state is not WorkerState.STARTING, w.name))[:surplus]
    return Leaving(remove=tuple(sorted(w.name for w in chosen)))


def _order(
    worker: WorkerView, leased: Collection[str], run_s: float | None
) -> tuple[int, bool, float, int, int, str, str]:
    """Whom to let go first.

    Those that never said anything come first: Kubernetes, too, removes a pod that is
    not ready before any other, whatever it is told. Then whoever is on the way out
    already, then those that are free or will be soonest.
    """
    if _is_new(worker):
        rank = 0
    elif worker.incarnation in leased:
        rank = 1
    elif worker.state is not WorkerState.CONSUMING:
        rank = 2
    else:
        rank = 3
    return (
        rank,
        worker.state is not WorkerState.DRAINED,
        _free_in_s(worker, run_s),
        worker.scheduled,
        worker.active,
        worker.name,
        worker.incarnation or "",
    )


def _free_in_s(worker: WorkerView, run_s: float | None) -> float:
    """About how long until ``worker`` has finished what it runs.

    Whoever runs the longest comes last (see ``remaining``).
    """
    if worker.active == 0:
        return 0.0
    ran = worker.running_for_s or 0.0
    if run_s is None:
        return max(ran, math.ulp(0.0))
    # Of several tasks only the oldest's age is known; the youngest may just have begun.
    youngest = 0.0 if worker.active > 1 and ran < run_s else ran
    return remaining_s(youngest, run_s)


def _is_new(worker: WorkerView) -> bool:
    return worker.state is WorkerState.STARTING and worker.incarnation is None


def _may_go(worker: WorkerView) -> bool:
    done = worker.active == 0 and worker.reserved == 0 and worker.scheduled == 0
    return done and (worker.state is WorkerState.DRAINED or _is_new(worker))
