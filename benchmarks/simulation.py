"""What the rule costs on the suite beside what could be had, and how fast it is played.

The suite is made from a seed, so its figures are the same on any machine: they are
compared with the stored ones, and a rule that got worse is told. ``--store`` writes new
ones, after a change that was meant.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Result, main
from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.simulate import clairvoyant, synthetic
from sluiceway.simulate.compare import Case
from sluiceway.simulate.ours import BUSY_TICK_S, MONDAY, Sluiceway
from sluiceway.simulate.run import simulate
from sluiceway.simulate.suite import suite
from sluiceway.simulate.trace import Trace
from sluiceway.simulate.world import Plant

STORED = Path(__file__).with_name("simulation.json")
WORSE = 1.03
"""So much above the stored ratio is worse, and no rounding."""

MILLION = 1_000_000


def run(small: bool = True) -> Result:
    """Ratios on the suite, whether they hold, and seconds for a million tasks."""
    ratios = {trace.name: _ratios(_case(trace)) for trace in suite()}
    tasks = MILLION // 10 if small else MILLION
    return {
        "suite": ratios,
        "worse_than_stored": _worse(ratios, json.loads(STORED.read_text(encoding="utf-8"))),
        f"{tasks}_tasks_s": round(_speed(tasks), 2),
    }


def _case(trace: Trace) -> Case:
    spec = TaskQueueSpec.model_validate({"queues": ["queue"], "scaling": {"max_replicas": 1000}})
    return Case(trace=trace, plant=Plant(), spec=spec, begins_at=MONDAY, tick_s=BUSY_TICK_S)


def _ratios(case: Case) -> dict[str, float]:
    ours = simulate(case.trace, case.plant, Sluiceway(case.spec))
    best = clairvoyant.plan(case.trace, case.plant, max_wait_s=case.max_wait_s, high=1000)
    return {
        "within": round(case.within(ours), 4),
        "hours_to_clairvoyant": round(ours.worker_s / best.worker_s, 3),
        "changes_an_hour": round(ours.actions / (case.trace.span_s / 3600), 1),
    }


def _worse(ratios: dict[str, dict[str, float]], stored: dict[str, Any]) -> list[str]:
    """What is worse than it was, in words; empty where the guard holds."""
    found = []
    for name, was in stored.items():
        now = ratios[name]
        if now["within"] < was["within"] - 0.002:
            found.append(f"{name}: {now['within']} within the target, it was {was['within']}")
        for figure in ("hours_to_clairvoyant", "changes_an_hour"):
            if now[figure] > WORSE * was[figure]:
                found.append(f"{name}: {figure} {now[figure]}, it was {was[figure]}")
    return found


def _speed(tasks: int) -> float:
    trace = synthetic.steady(
        rate=100.0, span_s=tasks / 100.0, run_time=synthetic.exponential(0.5), seed=1
    )
    case = _case(trace)
    began = time.process_time()
    simulate(case.trace, case.plant, Sluiceway(case.spec))
    return time.process_time() - began


if __name__ == "__main__":
    if "--store" in sys.argv:
        made = {trace.name: _ratios(_case(trace)) for trace in suite()}
        STORED.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    else:
        main("simulation: the rule on the suite, and a million tasks", run)
