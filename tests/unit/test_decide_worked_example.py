"""The worked example of docs/explanation/how-many-workers.md, computed once more."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide
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
    going_on = max((12.5 - 1140 / 120) * 2.1, (3 * 1.1 + 9 * 2.1) / 26)
    free = 12 - going_on
    new = (1140 * 2.1 - free * 26) / 20
    for figure in (
        f"max(3.0 × 2.1, (3 × 1.1 + 9 × 2.1) / 26) | {going_on:.2f} |",
        f"26 s: {free * 26:.0f} s of work | {free:.2f} |",
        f"the other {new * 20:,.0f} s in 30 − 4 − 6 = 20 s | {new:.2f} |".replace(",", " "),
        f"{going_on + free + new:.2f} slots / 4 = {(going_on + free + new) / 4:.2f} workers | "
        f"**{math.ceil((going_on + free + new) / 4)} workers** |",
    ):
        assert figure in PAGE
    demand = Demand.of(OBSERVATION, NOW, 6.0)
    recommendation = recommend(SPEC.scaling, demand, HISTORY, current=3, slots=4, now=NOW)
    assert recommendation.amount == pytest.approx(going_on + free + new)
