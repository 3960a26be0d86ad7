"""The worked example of docs/explanation/how-many-workers.md, computed once more."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide
from sluiceway.decide.arrivals import Stretch
from sluiceway.decide.demand import Demand
from sluiceway.decide.estimate import Learned, RunStats
from sluiceway.decide.history import History
from sluiceway.decide.observation import Observation, QueueView, WorkerState, WorkerView
from sluiceway.decide.recommend import recommend

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "how-many-workers.md").read_text()
NOW = 1_764_000_000.0

SPEC = TaskQueueSpec.model_validate(
    {"worker": {"concurrency": 4}, "scaling": {"max_replicas": 40, "target": {"max_wait": 30.0}}}
)
OBSERVATION = Observation(
    at=NOW,
    queues=(QueueView(name="video", length=1140, oldest_wait_s=4.0),),
    workers=tuple(
        WorkerView(
            name=f"w{n}",
            incarnation=f"w{n}:1",
            state=WorkerState.CONSUMING,
            slots=4,
            active=4,
            running_for_s=1.0,
        )
        for n in range(3)
    ),
    replicas=3,
)
HISTORY = History(
    recommendations=((NOW - 90, 3),),
    learned=Learned(
        at=NOW,
        backlog=1152,
        rate_per_s=12.5,
        usual_per_s=12.5,
        arrivals=(Stretch(since=NOW - 30, until=NOW, number=375),),
        run_times={"video": RunStats(runs=500, sum_s=500 * 2.1, sumsq_s2=500 * (2.1**2 + 0.6**2))},
        cold_start_s=6.0,
    ),
)


def test_the_page_shows_the_decision_as_it_is_told() -> None:
    decision = decide(SPEC, OBSERVATION, HISTORY, NOW)
    chain = [
        f"{step.name:15}{'' if step.replicas is None else step.replicas:>3}  {step.sentence}"
        for step in decision.steps
    ]
    told = "\n".join([decision.sentence, "", *chain])
    assert f"```text\n{told}\n```" in PAGE


def test_the_pages_figures_follow_from_the_rule_and_agree_with_the_code() -> None:
    spread = 0.6**2 / 2.1
    waits, left = 1140 * 2.1, 3 * 1.1 + 9 * 2.1
    in_order = (waits + left) / (0.6 * (30 - 6) + 6 + 2 + spread)
    work = waits + left + 0.6 * math.sqrt(1140)
    there = 12 * (30 - 4 - 1 + spread)
    new = (work - there) / (30 - 4 - 1 - 6 + spread)
    together = 12 + new
    for figure in (
        f"0.6² / 2.1² = {spread:.2f} s",
        f"(0.6 × (30 − 6) + 6 + 2 + {spread:.2f}) | {in_order:.2f} |",
        f"√1 140 = {work:,.1f} s".replace(",", " "),
        f"{25 + spread:.2f} s: {there:.1f} s of work | 12 |",
        f"the other {work - there:,.1f} s in".replace(",", " "),
        f"= {19 + spread:.2f} s | {new:.2f} |",
        f"0.8 × 12.5 × 2.1 | {0.8 * 12.5 * 2.1:.2f} |",
        f"{together:.2f} slots / 4 = {together / 4:.2f} workers | "
        f"**{math.ceil(together / 4)} workers** |",
    ):
        assert figure in PAGE
    demand = Demand.of(OBSERVATION, NOW, 6.0)
    recommendation = recommend(SPEC.scaling, demand, HISTORY, current=3, slots=4, now=NOW)
    assert recommendation.amount == pytest.approx(together)
