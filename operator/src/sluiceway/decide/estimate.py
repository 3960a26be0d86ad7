"""What a fleet's past readings teach: arrival rate, run times, cold start, slots.

Heartbeat counters are cumulative since the start of an *incarnation*, so they are
compared per incarnation: a worker that restarts begins a new count and is no fall of
the old one. Readings flow in through ``learn``; the recommendation reads the result.
Everything kept is bounded: by the workers of the last ten minutes and by
``MAX_TASK_NAMES`` run times.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sluiceway.decide.arrivals import Stretch, rate_per_s, with_news
from sluiceway.decide.demand import HEARD, Demand
from sluiceway.decide.observation import Observation, RunTimes, WorkerView

COLD_START_PRIOR_S = 5.0
"""Assumed until the first worker has started: a pod on a warm node, a Python process."""

COLD_START_WEIGHT = 0.3
"""How much of a newly seen cold start goes into the estimate."""

USUAL_S = 60.0
"""The usual rate of arrivals is an average in which what came this long ago counts with
1/e: a lull of a few seconds does not change it, an hour's rise and fall does."""

RUNS_REMEMBERED = 500.0
"""Run times are those of the last 500 runs or so: older ones fade as newer ones come,
and a task that runs once an hour is not forgotten in between."""

MAX_TASK_NAMES = 50
OTHER_TASKS = ""
"""Where the run times of further task names are summed, as in heartbeats."""

_NO_RUNS = RunTimes()

FORGET_WORKER_AFTER_S = 600.0
"""A worker that is missing from a reading may be back in the next, with its count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStats:
    """Run times that fade: a weight in runs, seconds, seconds squared."""

    runs: float = 0.0
    sum_s: float = 0.0
    sumsq_s2: float = 0.0
    beyond_s: float = 0.0
    """Of ``sum_s``, what single runs took beyond the longest that is planned for."""

    def plus(self, other: RunStats) -> RunStats:
        """Both together."""
        return RunStats(
            runs=self.runs + other.runs,
            sum_s=self.sum_s + other.sum_s,
            sumsq_s2=self.sumsq_s2 + other.sumsq_s2,
            beyond_s=self.beyond_s + other.beyond_s,
        )

    def times(self, share: float) -> RunStats:
        """The same mean and variance with less weight."""
        return RunStats(
            runs=self.runs * share,
            sum_s=self.sum_s * share,
            sumsq_s2=self.sumsq_s2 * share,
            beyond_s=self.beyond_s * share,
        )

    @property
    def mean_s(self) -> float | None:
        """None while no run is known."""
        return self.sum_s / self.runs if self.runs > 0 else None

    @property
    def planned_s(self) -> float | None:
        """The mean with long runs counted only as far as they are planned for; None while
        no run is known."""
        return (self.sum_s - self.beyond_s) / self.runs if self.runs > 0 else None

    @property
    def deviation_s(self) -> float | None:
        """Standard deviation; None while no run is known."""
        if self.runs <= 0:
            return None
        mean = self.sum_s / self.runs
        return math.sqrt(max(0.0, self.sumsq_s2 / self.runs - mean * mean))


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """One incarnation's counters when it was heard last."""

    at: float
    processed: int
    tasks: Mapping[str, RunTimes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """Everything measured so far. The empty one knows nothing and says so."""

    at: float | None = None
    """When the last complete reading was taken; None before the first."""
    backlog: int = 0
    """The backlog then."""
    rate_per_s: float | None = None
    """Messages that arrive per second, over the last window; None while it cannot be told."""
    arrivals: tuple[Stretch, ...] = ()
    """When those of the last window came."""
    usual_per_s: float = 0.0
    """Messages that arrive per second, over the last minute or so."""
    came_at: float | None = None
    """When the last of them was seen to come, Unix seconds; None before the first."""
    run_times: Mapping[str, RunStats] = field(default_factory=dict)
    """By task name."""
    cold_start_s: float | None = None
    """From asking for a worker until it consumes; None before the first."""
    slots: int | None = None
    """Slots per worker, as the last heartbeats had it."""
    counted: Mapping[str, Counted] = field(default_factory=dict)
    """By incarnation."""

    @property
    def all_runs(self) -> RunStats:
        """The run times of all task names together."""
        return _sum(self.run_times.values())

    @property
    def cold_start_or_prior_s(self) -> float:
        """The measured cold start, or the prior until there is one."""
        return COLD_START_PRIOR_S if self.cold_start_s is None else self.cold_start_s

    def learn(
        self,
        observation: Observation,
        demand: Demand,
        window_s: float,
        *,
        longest_s: float = math.inf,
    ) -> Learned:
        """This and what ``observation`` adds.

        Args:
            window_s: over how many seconds the arrival rate is averaged.
            longest_s: how many seconds of a run are planned for beforehand.
        """
        # By name: sums of floats must not depend on the order of the workers.
        heard = sorted(
            (w for w in observation.workers if w.incarnation is not None and w.state in HEARD),
            key=lambda w: (w.name, w.incarnation),
        )
        finished = sum(self._finished(w) for w in heard)
        return replace(
            self._with_arrivals(observation.at, demand, finished, window_s),
            run_times=self._run_times(heard, longest_s),
            cold_start_s=self._cold_start(heard),
            slots=_usual_slots(heard) or self.slots,
            counted=self._counted(heard, observation.at),
        )

    def finished_since(self, observation: Observation) -> bool:
        """Whether any worker ended a run since the last reading."""
        return any(
            self._finished(w) > 0
            for w in observation.workers
            if w.incarnation is not None and w.state in HEARD
        )

    def _finished(self, worker: WorkerView) -> int:
        """Runs that ``worker`` ended since it was heard last."""
        before = self.counted.get(worker.incarnation or "")
        return max(0, worker.processed - (before.processed if before else 0))

    def _with_arrivals(self, at: float, demand: Demand, finished: int, window_s: float) -> Learned:
        """Arrivals are what the backlog grew by, and what was finished meanwhile.

        A message that is between queue and heartbeat is missing for one reading and
        back in the next, so a single difference may be negative; they are summed as
        they are, and only the sum is held at zero where it is used.
        """
        if demand.unknown is not None or demand.in_flight is None:
            return self
        if self.at is None:
            return replace(self, at=at, backlog=demand.backlog, rate_per_s=0.0)
        came = demand.backlog - self.backlog + finished
        arrivals = with_news(
            self.arrivals, since=min(self.at, at), until=at, came=came, window_s=window_s
        )
        return replace(
            self,
            at=at,
            backlog=demand.backlog,
            rate_per_s=rate_per_s(arrivals, at, window_s),
            arrivals=arrivals,
            usual_per_s=_usual_per_s(self.usual_per_s, came, at - self.at),
            came_at=at if came > 0 else self.came_at,
        )

    def _run_times(self, heard: list[WorkerView], longest_s: float) -> Mapping[str, RunStats]:
        new: dict[str, RunStats] = {}
        for worker in heard:
            before = self.counted.get(worker.incarnation or "")
            if before is not None and before.processed == worker.processed:
                continue
            for name, now in worker.tasks.items():
                was = before.tasks.get(name, _NO_RUNS) if before else _NO_RUNS
                if now.count > was.count:
                    ended, took_s = now.count - was.count, max(0.0, now.sum_s - was.sum_s)
                    runs = RunStats(
                        runs=ended,
                        sum_s=took_s,
                        sumsq_s2=max(0.0, now.sumsq_s2 - was.sumsq_s2),
                        # Of several that ended since the last reading only the sum is
                        # known; long ones seldom end together with others.
                        beyond_s=max(0.0, took_s - ended * longest_s),
                    )
                    new[name] = new.get(name, RunStats()).plus(runs)
        if not new:
            return self.run_times
        merged = {
            name: self.run_times.get(name, RunStats()).plus(new.get(name, RunStats()))
            for name in sorted(self.run_times.keys() | new.keys())
        }
        total = _sum(merged.values()).runs
        share = min(1.0, RUNS_REMEMBERED / total)
        return _bounded({name: stats.times(share) for name, stats in merged.items()})

    def _cold_start(self, heard: list[WorkerView]) -> float | None:
        estimate = self.cold_start_s
        for worker in heard:
            if worker.started_in_s is None or worker.incarnation in self.counted:
                continue
            seen = max(0.0, worker.started_in_s)
            estimate = (
                seen if estimate is None else estimate + COLD_START_WEIGHT * (seen - estimate)
            )
        return estimate

    def _counted(self, heard: list[WorkerView], at: float) -> Mapping[str, Counted]:
        counted = {
            name: old for name, old in self.counted.items() if at - old.at < FORGET_WORKER_AFTER_S
        }
        for worker in heard:
            counted[worker.incarnation or ""] = Counted(
                at=at, processed=worker.processed, tasks=worker.tasks
            )
        return counted


def _usual_per_s(before: float, came: int, span_s: float) -> float:
    if span_s <= 0:
        return before + came / USUAL_S
    kept = math.exp(-span_s / USUAL_S)
    return kept * before + (1 - kept) * came / span_s


def _sum(stats: Iterable[RunStats]) -> RunStats:
    total = RunStats()
    for one in stats:
        total = total.plus(one)
    return total


def _bounded(run_times: dict[str, RunStats]) -> Mapping[str, RunStats]:
    if len(run_times) <= MAX_TASK_NAMES:
        return run_times
    by_weight = sorted(
        run_times, key=lambda name: (name == OTHER_TASKS, -run_times[name].runs, name)
    )
    kept = by_weight[: MAX_TASK_NAMES - 1]
    rest = by_weight[MAX_TASK_NAMES - 1 :]
    return {name: run_times[name] for name in kept} | {
        OTHER_TASKS: _sum(run_times[name] for name in rest)
    }


def _usual_slots(heard: list[WorkerView]) -> int | None:
    """The slots that most workers have; of two equally usual numbers the smaller."""
    usual = Counter(max(1, w.slots) for w in heard)
    return min(usual, key=lambda n: (-usual[n], n), default=None)
