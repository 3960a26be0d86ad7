"""What to write in a TaskQueue for a trace: fields, the reason for each, what comes of it.

Each field is tried by playing the whole trace, one field after the other and the earlier
ones kept: as few workers as possible that keep 99 % within the target, and where none do,
as many tasks within it as can be had. The wait target itself is the user's wish and is
never changed; what half of it and twice it would cost is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sluiceway.api.duration import format_duration
from sluiceway.api.scaling import MOST_REPLICAS, Scaling, Target
from sluiceway.decide.recommend import max_wait_s
from sluiceway.decide.sentences import count, whole
from sluiceway.simulate.compare import ENOUGH, OURS, Case
from sluiceway.simulate.figures import Figures, figures
from sluiceway.simulate.ours import Sluiceway
from sluiceway.simulate.run import simulate
from sluiceway.simulate.table import hours, share

HEADROOM = 1.5
"""maxReplicas above the most that the trace asked for: next week is not this one."""

WORTH = 0.02
"""A field is written only where it saves this share of the worker-hours, or is needed."""

_FLOORS = (1, 2, 5)
_COOLDOWNS_S = (0.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """One field, and why."""

    path: str
    """As users write it: scaling.maxReplicas."""
    value: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """What is proposed for a trace."""

    case: Case
    """With the proposed fields."""
    proposals: tuple[Proposal, ...]
    before: Figures
    after: Figures
    others: tuple[tuple[str, Figures], ...]
    """(what is different, its figures): what was not chosen for the user."""


def tune(case: Case, *, told: Callable[[str], None] = lambda _: None) -> Tuned:
    """Look for the fields that serve ``case`` best; ``told`` is told what is tried."""
    before = _play(case)
    proposals: list[Proposal] = []
    if max_wait_s(case.spec.scaling.target) is None:
        case = _with(case, target=Target(max_wait=case.max_wait_s))
        proposals.append(
            Proposal(
                path="scaling.target.maxWait",
                value=format_duration(case.max_wait_s),
                reason="run times are known, and a wait is what people notice; a backlog "
                "says nothing of how long it takes",
            )
        )
    told("maxReplicas")
    case, most = _maximum(case)
    proposals.append(most)
    now = _play(case)
    told("minReplicas")
    case, now, floor = _best(
        case,
        now,
        ((f"{n}", {"min_replicas": n}) for n in _floors(case)),
        "scaling.minReplicas",
    )
    told("cooldownPeriod")
    case, now, cooldown = _best(
        case,
        now,
        ((format_duration(s), {"cooldown_period": s}) for s in _COOLDOWNS_S),
        "scaling.cooldownPeriod",
    )
    proposals += [one for one in (floor, cooldown) if one is not None]
    told("what else there is")
    return Tuned(
        case=case,
        proposals=tuple(proposals),
        before=before,
        after=now,
        others=tuple(_others(case)),
    )


def _play(case: Case) -> Figures:
    policy = Sluiceway(case.spec, begins_at=case.begins_at, tick_s=case.tick_s)
    run = replace(simulate(case.trace, case.plant, policy), policy=OURS)
    return figures(run, max_wait_s=case.max_wait_s, bound_s=case.bound_s)


def _with(case: Case, **scaling: object) -> Case:
    changed: Scaling = case.spec.scaling.model_copy(update=scaling)
    return replace(case, spec=case.spec.model_copy(update={"scaling": changed}))


def _maximum(case: Case) -> tuple[Case, Proposal]:
    free = _play(_with(case, max_replicas=MOST_REPLICAS))
    most = min(MOST_REPLICAS, max(1, math.ceil(HEADROOM * free.most_workers)))
    written = case.spec.scaling.max_replicas
    if written < free.most_workers:
        because = f"{whole(written)} were too few at times"
    else:
        because = "no more were ever needed"
    reason = f"{whole(free.most_workers)} at the most, and half of it in reserve; {because}"
    return _with(case, max_replicas=most), Proposal(
        path="scaling.maxReplicas", value=f"{most}", reason=reason
    )


def _floors(case: Case) -> Iterable[int]:
    """Floors worth trying: none, a few, what the trace needs on average, and multiples."""
    needed = math.ceil(case.bound_s / max(case.trace.span_s, 1.0))
    found = {
        0,
        case.spec.scaling.min_replicas,
        *_FLOORS,
        needed,
        2 * needed,
        4 * needed,
        8 * needed,
    }
    return sorted(n for n in found if n <= case.spec.scaling.max_replicas)


def _best(
    case: Case,
    now: Figures,
    tries: Iterable[tuple[str, dict[str, object]]],
    path: str,
) -> tuple[Case, Figures, Proposal | None]:
    """The best of ``tries`` where one is better than ``now``."""
    best_case, best, chosen = case, now, None
    for value, fields in tries:
        tried_case = _with(case, **fields)
        tried = _play(tried_case)
        if not _better(tried, best):
            continue
        best_case, best = tried_case, tried
        chosen = Proposal(path=path, value=value, reason=_compared(tried, now))
    return best_case, best, chosen


def _better(tried: Figures, best: Figures) -> bool:
    enough = min(tried.within, ENOUGH), min(best.within, ENOUGH)
    if abs(enough[0] - enough[1]) > 1e-4:
        return enough[0] > enough[1]
    return tried.worker_hours < (1 - WORTH) * best.worker_hours


def _compared(tried: Figures, now: Figures) -> str:
    if min(tried.within, ENOUGH) > min(now.within, ENOUGH):
        return (
            f"{share(tried.within)} within the target and not {share(now.within)}, for "
            f"{hours(tried.worker_hours)} worker-hours and not {hours(now.worker_hours)}"
        )
    return (
        f"{hours(tried.worker_hours)} worker-hours and not {hours(now.worker_hours)}, with "
        f"{share(tried.within)} within the target"
    )


def _others(case: Case) -> Iterable[tuple[str, Figures]]:
    target_s = case.max_wait_s
    for factor in (0.5, 2.0):
        other = _with(case, target=Target(max_wait=factor * target_s))
        yield f"maxWait: {format_duration(factor * target_s)}", _play(other)
    slots = 2 * case.plant.slots
    wider = replace(case, plant=replace(case.plant, slots=slots))
    yield f"{count(slots, 'slot')} per worker, if tasks then ran as fast", _play(wider)


def as_yaml(tuned: Tuned) -> str:
    """The proposed fields, to be put below ``spec``."""
    lines, open_now = [], list[str]()
    for one in sorted(tuned.proposals, key=lambda p: p.path):
        *parents, name = one.path.split(".")
        common = 0
        while common < min(len(parents), len(open_now)) and parents[common] == open_now[common]:
            common += 1
        for depth in range(common, len(parents)):
            lines.append(f"{'  ' * depth}{parents[depth]}:")
        open_now = parents
        lines.append(f"{'  ' * len(parents)}{name}: {one.value} # {one.reason}")
    return "\n".join(lines)
