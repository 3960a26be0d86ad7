"""The words: what a person on call reads."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide, sentences
from sluiceway.decide.estimate import Learned, RunStats
from sluiceway.decide.history import History
from sluiceway.decide.observation import (
    Observation,
    QueueView,
    WorkerState,
    WorkerView,
)

NOW = 1_764_000_000.0


def sentence(
    length: int | None,
    replicas: int = 0,
    *,
    run_s: float | None = 2.1,
    scaling: dict[str, Any] | None = None,
    idle_s: float | None = None,
    recommendations: tuple[tuple[float, int], ...] = ((NOW - 1000, 0),),
    workers: tuple[WorkerView, ...] | None = None,
    problem: str | None = None,
    oldest_wait_s: float | None = None,
    **observed: Any,
) -> str:
    times = {} if run_s is None else {"t": RunStats(runs=100, sum_s=100 * run_s)}
    history = History(
        recommendations=recommendations,
        idle_since=None if idle_s is None else NOW - idle_s,
        learned=Learned(run_times=times, cold_start_s=5.0),
    )
    spec = TaskQueueSpec.model_validate(
        {"worker": {"concurrency": 4}, "scaling": {"max_replicas": 40} | (scaling or {})}
    )
    idle = tuple(
        WorkerView(name=f"w{n}", incarnation=f"w{n}:1", state=WorkerState.CONSUMING, slots=4)
        for n in range(replicas)
    )
    observation = Observation(
        at=NOW,
        queues=(
            QueueView(name="video", length=length, problem=problem, oldest_wait_s=oldest_wait_s),
        ),
        workers=idle if workers is None else workers,
        replicas=replicas,
        **observed,
    )
    return decide(spec, observation, history, NOW).sentence


def busy(active: int = 1, **fields: Any) -> tuple[WorkerView, ...]:
    fields = {"state": WorkerState.CONSUMING, "slots": 4, "running_for_s": 1.0} | fields
    return (WorkerView(name="a", incarnation="a:1", active=active, **fields),)


SENTENCES: dict[str, str] = {
    sentence(1140): (
        "28 workers: 1 140 waiting tasks of 2.1 s each, 30 s target, 4 slots per worker."
    ),
    sentence(1): "1 worker: 1 waiting task of 2.1 s, 30 s target, 4 slots per worker.",
    sentence(1, 1, workers=busy(2)): (
        "1 worker: 1 waiting and 2 running tasks of 2.1 s each, 30 s target, 4 slots per worker."
    ),
    sentence(8, oldest_wait_s=95.0, run_s=20.0): (
        "2 workers: 8 waiting tasks of 20 s each, 30 s target, the oldest has waited 95 s, "
        "4 slots per worker."
    ),
    sentence(99, run_s=None): (
        "4 workers: 99 waiting tasks, run times not known yet, no more than 4 workers until "
        "then, 4 slots per worker."
    ),
    sentence(41, scaling={"target": {"backlog_per_replica": 10}}): (
        "5 workers: 41 waiting tasks, 10 per worker."
    ),
    sentence(0): "0 workers: nothing waits and nothing runs.",
    sentence(0, 1, idle_s=20.0, scaling={"cooldown_period": 60.0}): (
        "1 worker: idle for 20 s of the 60 s before the step to zero."
    ),
    sentence(0, 1, workers=busy()): "1 worker: nothing waits, 1 task is running.",
    sentence(0, 1, workers=busy(0, scheduled=3, running_for_s=None)): (
        "1 worker: nothing waits, 3 tasks are held for later."
    ),
    sentence(1, 5, recommendations=((NOW - 5, 5),)): (
        "5 workers: 1 needed now, held by the highest recommendation of the last 60 s."
    ),
    sentence(9999): (
        "40 workers: the maximum; 239 would be needed for 9 999 waiting tasks of 2.1 s each, "
        "30 s target, 4 slots per worker."
    ),
    sentence(0, 2, scaling={"min_replicas": 2}, idle_s=600.0): (
        "2 workers: the minimum; 0 would do (nothing waits and nothing runs)."
    ),
    sentence(0, 2, idle_s=600.0): (
        "0 workers: nothing waits and nothing runs; 2 more are to go once they run nothing."
    ),
    sentence(0, 2, scaling={"min_replicas": 1}, idle_s=600.0, rolling_out=True): (
        "2 workers: a rollout is under way, so none is taken away; 1 would do."
    ),
    sentence(
        0,
        scaling={
            "schedules": [
                {
                    "cron": "0 16 * * *",
                    "timezone": "UTC",
                    "duration": 7200,
                    "min_replicas": 5,
                }
            ]
        },
    ): (
        "5 workers: the schedule «0 16 * * *» (UTC) asks for at least 5 until 18:00; "
        "demand alone asks for 0."
    ),
    sentence(None, 5, problem="no answer", broker_problem="Connection refused."): (
        "5 workers: the broker cannot be read (Connection refused), so none is taken away."
    ),
    sentence(None, 5, problem="it is a hash, not a list"): (
        "5 workers: queue video cannot be read (it is a hash, not a list), so none is taken away."
    ),
    sentence(7, 2, scaling={"paused": True}): "2 workers: paused, left as it is.",
    sentence(7, 2, scaling={"paused": {"replicas": 3}}): "3 workers: paused, held at 3.",
    sentence(
        82, 8, scaling={"target": {"backlog_per_replica": 10}, "behavior": {"scale_up": {}}}
    ): ("8 workers: demand is 1.02 times what they are meant for, within the tolerance of 0.1."),
    sentence(0, 1, workers=(), workers_report=False, unacked=3): (
        "1 worker: nothing waits, up to 3 tasks may be running (the workers do not report)."
    ),
}


@pytest.mark.parametrize(("said", "expected"), SENTENCES.items(), ids=SENTENCES.values())
def test_a_decision_says_in_a_sentence_why_it_is_so(said: str, expected: str) -> None:
    assert said == expected


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0.0, "0 s"),
        (0.0004, "under 1 ms"),
        (0.0123, "12 ms"),
        (0.35, "350 ms"),
        (1.0, "1 s"),
        (2.14, "2.1 s"),
        (95.0, "95 s"),
        (150.0, "2.5 min"),
        (3600.0, "60 min"),
        (7200.0, "2 h"),
        (1e6, "278 h"),
    ],
)
def test_durations_are_said_as_people_say_them(duration: float, text: str) -> None:
    assert sentences.seconds(duration) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0314, "0.031"), (1.02, "1"), (9.87, "9.9"), (12.3, "12"), (12_345.0, "12 345")],
)
def test_a_decimal_has_two_significant_digits(number: float, text: str) -> None:
    assert sentences.decimal(number) == text


def test_the_chain_is_told_step_by_step() -> None:
    spec = TaskQueueSpec.model_validate({"scaling": {"max_replicas": 3}})
    history = History(
        recommendations=((NOW - 1000, 0),),
        learned=Learned(run_times={"t": RunStats(runs=100, sum_s=210.0, sumsq_s2=450.0)}),
    )
    observation = Observation(at=NOW, queues=(QueueView(name="q", length=100),), replicas=0)
    told = [
        (step.name, step.replicas, step.sentence)
        for step in decide(spec, observation, history, NOW).steps
    ]
    assert told == [
        (
            "demand",
            None,
            "100 waiting, 0 in flight; run time 2.1 s on average over the last 100 runs "
            "(standard deviation 300 ms); a new worker takes 5 s (assumed).",
        ),
        (
            "recommendation",
            10,
            "100 waiting tasks of 2.1 s each, 30 s target, 1 slot per worker; "
            "slots: 9.5 in order, 8.9 in time.",
        ),
        ("stabilization", 10, "No window holds it."),
        ("limits", 3, "Between 0 and 3."),
        ("drain", 3, "Nobody leaves."),
    ]
