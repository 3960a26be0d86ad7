"""How many decisions a second the rule makes, at rest and with many workers to look at.

The processor time of ``decide`` alone, on what ``observe`` would hand it: nothing is read
and nothing is done. A fleet under work is decided on every two seconds.
"""

from __future__ import annotations

import time

from benchmarks.common import Result, main
from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide
from sluiceway.decide.history import History
from sluiceway.decide.observation import (
    Observation,
    QueueView,
    RunTimes,
    WorkerState,
    WorkerView,
)

SPEC = TaskQueueSpec.model_validate(
    {"queues": ["video"], "scaling": {"minReplicas": 0, "maxReplicas": 1000}}
)
TICK_S = 2.0
SIZES = {"at_rest": 0, "20_workers": 20, "200_workers": 200, "1000_workers": 1000}


def run(small: bool = True) -> Result:
    """Decisions a second, and microseconds for one, by the size of the fleet."""
    span_s = 0.3 if small else 3.0
    return {name: _rate(workers, span_s) for name, workers in SIZES.items()}


def _rate(workers: int, span_s: float) -> Result:
    history, count, spent_s = History(), 0, 0.0
    while spent_s < span_s:
        observation = _observation(workers, at=1.8e9 + count * TICK_S, seen=count)
        began = time.process_time()
        decision = decide(SPEC, observation, history, observation.at)
        spent_s += time.process_time() - began
        history = decision.history
        count += 1
    return {"per_s": round(count / spent_s), "us": round(spent_s / count * 1e6)}


def _observation(workers: int, *, at: float, seen: int) -> Observation:
    """So many busy workers and twice as many messages; or nothing of either."""
    views = tuple(
        WorkerView(
            name=f"video-{number}",
            incarnation=f"i-{number}",
            state=WorkerState.CONSUMING,
            slots=2,
            active=2,
            running_for_s=1.5,
            processed=seen * 2,
            tasks={
                "render": RunTimes(count=seen, sum_s=3.0 * seen, sumsq_s2=10.0 * seen),
                "resize": RunTimes(count=seen, sum_s=1.0 * seen, sumsq_s2=1.5 * seen),
            },
            waits=seen,
            wait_sum_s=2.0 * seen,
        )
        for number in range(workers)
    )
    waiting = QueueView(name="video", length=2 * workers, oldest_wait_s=3.0 if workers else None)
    return Observation(at=at, queues=(waiting,), workers=views, replicas=workers)


if __name__ == "__main__":
    main("decide: decisions a second", run)
