"""Policies side by side on one trace, each as good as it can be set.

Ours has one setting: what the user wrote. The others are given what ours does not need:
KEDA the best of many settings for this very trace, target tracking the true mean run
time, the fixed fleet its best number. Who knows the future knows all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from sluiceway.api.scaling import Behavior, ScalingRules
from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide.recommend import DEFAULT_MAX_WAIT_S, max_wait_s
from sluiceway.simulate import clairvoyant
from sluiceway.simulate.figures import Figures, figures, share_within
from sluiceway.simulate.keda import TUNED_BEHAVIOR, Keda, ScaledObject
from sluiceway.simulate.ours import Sluiceway
from sluiceway.simulate.run import Policy, Run, simulate
from sluiceway.simulate.simple_policies import Fixed, TargetTracking
from sluiceway.simulate.trace import Trace
from sluiceway.simulate.world import Plant

ENOUGH = 0.99
"""The share within the target from which on only the cost counts."""

OURS = "sluiceway"
KEDA_DEFAULT = "KEDA, defaults"
KEDA_TUNED = "KEDA, tuned"
KEDA_BEST = "KEDA, best"
TRACKING = "target tracking"
FIXED = "fixed fleet"
CLAIRVOYANT = clairvoyant.NAME


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A trace, a world, and what is asked of policies."""

    trace: Trace
    plant: Plant
    spec: TaskQueueSpec
    begins_at: float
    """The time of day at the trace's start, Unix seconds."""
    tick_s: float

    @property
    def max_wait_s(self) -> float:
        """The wait that counts as within the target, seconds."""
        return max_wait_s(self.spec.scaling.target) or DEFAULT_MAX_WAIT_S

    @property
    def bound_s(self) -> float:
        """Worker-seconds below which nobody can be."""
        return clairvoyant.bound_s(self.trace, self.plant)

    def within(self, run: Run) -> float:
        """The share of the tasks that ``run`` started within the target."""
        return share_within(sorted(run.waits()), self.max_wait_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All policies on one trace."""

    case: Case
    runs: tuple[Run, ...]
    figures: tuple[Figures, ...]
    """Of each of ``runs``."""


def compare(
    case: Case, *, search: bool = True, told: Callable[[str], None] = lambda _: None
) -> Comparison:
    """Play ``case`` under every policy.

    Args:
        search: also look for the best setting of KEDA and the best fixed number, which
            takes many runs.
        told: is told the name of each policy before it is played.
    """
    runs: list[Run] = []
    settings: list[str] = []
    for name, play in _policies(case, search):
        told(name)
        run, setting = play()
        runs.append(replace(run, policy=name))
        settings.append(setting)
    return Comparison(
        case=case,
        runs=tuple(runs),
        figures=tuple(
            figures(run, max_wait_s=case.max_wait_s, bound_s=case.bound_s, setting=setting)
            for run, setting in zip(runs, settings, strict=True)
        ),
    )


_Play = Callable[[], tuple[Run, str]]


def _policies(case: Case, search: bool) -> Iterator[tuple[str, _Play]]:
    scaling = case.spec.scaling
    low, high = scaling.min_replicas, scaling.max_replicas
    default = ScaledObject(low=low, high=high)
    tuned = replace(default, list_length=1, polling_s=5.0, cooldown_s=60.0, behavior=TUNED_BEHAVIOR)

    def played(policy: Policy, setting: str = "") -> _Play:
        return lambda: (simulate(case.trace, case.plant, policy), setting)

    yield (
        OURS,
        played(Sluiceway(case.spec, begins_at=case.begins_at, tick_s=case.tick_s)),
    )
    yield KEDA_DEFAULT, played(Keda(default), told_keda(default))
    yield KEDA_TUNED, played(Keda(tuned), told_keda(tuned))
    if search:
        yield KEDA_BEST, lambda: best_keda(case)
    yield (
        TRACKING,
        played(
            TargetTracking(
                max_wait_s=case.max_wait_s,
                mean_run_s=case.trace.mean_run_s,
                slots=case.plant.slots,
                low=low,
                high=high,
            )
        ),
    )
    if search:
        yield FIXED, lambda: best_fixed(case)
    yield (
        CLAIRVOYANT,
        lambda: (
            clairvoyant.plan(case.trace, case.plant, max_wait_s=case.max_wait_s, high=high),
            "",
        ),
    )


_LENGTHS = (1, 2, 5, 10, 20, 50, 100)
_WINDOWS_S = (0, 60, 300)
_COOLDOWNS_S = (30.0, 300.0)


def best_keda(case: Case) -> tuple[Run, str]:
    """KEDA as whoever has tried 42 settings on this very trace would set it.

    The cheapest of those that keep 99 % within the target; where none does, the one that
    keeps most.
    """
    scaling = case.spec.scaling
    best: tuple[tuple[float, float], Run, ScaledObject] | None = None
    for length, window_s, cooldown_s in product(_LENGTHS, _WINDOWS_S, _COOLDOWNS_S):
        scaled = ScaledObject(
            low=scaling.min_replicas,
            high=scaling.max_replicas,
            list_length=length,
            polling_s=5.0,
            cooldown_s=cooldown_s,
            behavior=_behavior(window_s),
        )
        run = simulate(case.trace, case.plant, Keda(scaled))
        # What is enough is enough: beyond it the cost decides.
        rank = (-min(case.within(run), ENOUGH), run.worker_s)
        if best is None or rank < best[0]:
            best = (rank, run, scaled)
    assert best is not None
    return best[1], told_keda(best[2])


def _behavior(window_s: int) -> Behavior:
    return Behavior(
        scale_up=TUNED_BEHAVIOR.scale_up,
        scale_down=ScalingRules(stabilization_window_seconds=window_s, tolerance="0"),
    )


def told_keda(scaled: ScaledObject) -> str:
    """A setting in a line."""
    down = scaled.behavior.scale_down if scaled.behavior is not None else None
    window = "no behavior" if down is None else f"down {down.stabilization_window_seconds} s"
    return (
        f"listLength {scaled.list_length}, poll {scaled.polling_s:.0f} s, "
        f"cooldown {scaled.cooldown_s:.0f} s, {window}"
    )


def best_fixed(case: Case) -> tuple[Run, str]:
    """The smallest fleet that keeps 99 % within the target, or as many as there may be."""

    def play(replicas: int) -> Run:
        return simulate(case.trace, case.plant, Fixed(replicas))

    most = max(1, case.spec.scaling.max_replicas)
    few, enough = 0, 1
    run = play(enough)
    while case.within(run) < ENOUGH and enough < most:
        few, enough = enough, min(2 * enough, most)
        run = play(enough)
    while enough - few > 1:
        middle = (few + enough) // 2
        tried = play(middle)
        if case.within(tried) >= ENOUGH:
            enough, run = middle, tried
        else:
            few = middle
    return run, f"{enough} workers"
