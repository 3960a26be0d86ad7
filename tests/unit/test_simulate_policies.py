"""The policies beside ours, each against cases worked out by hand or published."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluiceway.api.scaling import Behavior, ScalingRules
from sluiceway.simulate.clairvoyant import bound_s, plan
from sluiceway.simulate.hpa_controller import Hpa, without_behavior
from sluiceway.simulate.keda import Keda, ScaledObject
from sluiceway.simulate.run import simulate
from sluiceway.simulate.simple_policies import TargetTracking
from sluiceway.simulate.trace import Trace
from sluiceway.simulate.world import Plant, World

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "hpa" / "vectors.json").read_text()
)
OLDER_PATH = [case for case in CASES if case["behavior"] is None and case["kind"] != "tolerance"]


def trace(*tasks: tuple[float, float], span_s: float = 0.0) -> Trace:
    arrivals, runs = [t[0] for t in tasks], [t[1] for t in tasks]
    return Trace(name="t", arrivals=arrivals, runs=runs, span_s=max([span_s, *arrivals]))


def waiting(messages: int) -> World:
    """A world in which so many messages wait and nobody takes them."""
    world = World(trace(*[(0.0, 1.0)] * messages, span_s=1e6), Plant(cold_start_s=1e6))
    world.advance(0.0)
    return world


# The HPA.


@pytest.mark.parametrize("case", [pytest.param(c, id=c["name"]) for c in OLDER_PATH])
def test_a_published_case_without_behavior_gives_the_hpas_number(case: dict[str, Any]) -> None:
    recommendations = [
        (case["now"] - entry["age"], entry["value"]) for entry in case.get("recommendations") or []
    ]
    current = case["current"]
    if current is None:  # the published case looks at the window alone
        number = max(
            [case["desired"], *(v for at, v in recommendations if case["now"] - at <= 300)]
        )
        assert number == case["expected"]
        return
    number = without_behavior(
        case["desired"],
        current,
        recommendations,
        now=case["now"],
        low=case["minReplicas"],
        high=case["maxReplicas"],
    )
    assert number == case["expected"]


def test_the_hpa_asks_for_the_length_over_the_target_within_its_pace() -> None:
    hpa = Hpa(low=1, high=100, per_replica=5.0, behavior=None)

    # 200 / 5 is 40; from one worker at most to four, then to twice as many.
    assert [hpa.sync(t, n, 200.0) for t, n in ((0, 1), (15, 4), (30, 8), (45, 16), (60, 32))] == [
        4,
        8,
        16,
        32,
        40,
    ]


def test_the_hpa_changes_nothing_within_a_tenth() -> None:
    assert Hpa(low=1, high=100, per_replica=5.0, behavior=None).sync(0.0, 10, 55.0) == 10
    assert Hpa(low=1, high=100, per_replica=5.0, behavior=None).sync(0.0, 10, 56.0) == 12


def test_the_hpa_holds_the_highest_of_the_last_five_minutes() -> None:
    hpa = Hpa(low=1, high=100, per_replica=5.0, behavior=None)
    assert hpa.sync(0.0, 10, 50.0) == 10

    assert hpa.sync(300.0, 10, 0.0) == 10
    assert hpa.sync(301.0, 10, 0.0) == 1


def test_a_written_window_takes_the_place_of_the_default_one() -> None:
    behavior = Behavior(scale_down=ScalingRules(stabilization_window_seconds=60))
    hpa = Hpa(low=1, high=100, per_replica=5.0, behavior=behavior)
    hpa.sync(0.0, 10, 50.0)

    assert hpa.sync(59.0, 10, 0.0) == 10
    assert hpa.sync(60.0, 10, 0.0) == 1


def test_the_hpa_leaves_a_fleet_alone_that_is_scaled_to_zero() -> None:
    assert Hpa(low=1, high=100, per_replica=5.0, behavior=None).sync(0.0, 0, 500.0) == 0


# KEDA.


def test_keda_wakes_a_fleet_at_its_next_poll_and_the_hpa_goes_on_from_one() -> None:
    tasks = [(31.0, 1000.0)] * 40
    run = simulate(trace(*tasks, span_s=200), Plant(cold_start_s=1e4), Keda(ScaledObject(high=7)))

    assert [(c.at, c.before, c.replicas) for c in run.changes][:3] == [
        (60.0, 0, 1),
        (60.0, 1, 4),
        (75.0, 4, 7),
    ]


def test_keda_goes_to_zero_when_the_list_was_empty_for_the_cooldown_period() -> None:
    scaled = ScaledObject(polling_s=30, cooldown_s=90)
    run = simulate(trace((0.0, 1.0), span_s=600), Plant(cold_start_s=40), Keda(scaled))

    # Found waiting at 30 and 60, taken at 70: the first poll after 60 + 90 is that of 180.
    assert [(c.at, c.replicas) for c in run.changes] == [(30.0, 1), (180.0, 0)]
    assert run.worker_s == 150.0


def test_keda_does_not_see_what_runs_and_takes_a_busy_worker() -> None:
    scaled = ScaledObject(polling_s=5, cooldown_s=10)
    plant = Plant(cold_start_s=0, grace_s=30, redelivery_s=600)
    run = simulate(trace((1.0, 300.0), span_s=400), plant, Keda(scaled))

    assert run.cut >= 1


def test_fewer_messages_than_the_activation_wake_nobody() -> None:
    keda, world = Keda(ScaledObject(activation=3)), waiting(3)
    keda.look(world)

    assert world.replicas == 0


# Target tracking.


def test_target_tracking_gives_each_worker_what_it_can_do_within_the_target() -> None:
    policy = TargetTracking(max_wait_s=30, mean_run_s=2, slots=1, low=0, high=100)
    world = waiting(61)
    policy.look(world)

    assert world.replicas == 5  # 15 tasks for each


# Who knows the future.


def test_the_bound_is_the_run_time_over_the_slots() -> None:
    assert bound_s(trace((0, 10), (5, 20)), Plant(slots=2)) == 15


def test_the_plan_lets_a_task_wait_for_another_that_shares_its_cold_start() -> None:
    run = plan(trace((100, 5), (125, 5)), Plant(cold_start_s=10), max_wait_s=30, high=10)

    assert run.starts == [130, 135]
    assert run.worker_s == 10 + 5 + 5


def test_the_plan_starts_early_enough_for_all_of_a_burst() -> None:
    tasks = [(100.0, 10.0)] * 8
    run = plan(trace(*tasks), Plant(cold_start_s=5), max_wait_s=30, high=100)

    # Two workers, since each can begin four tasks within 30 s; one could begin only four.
    assert max(n for _, n in run.sizes) == 2
    assert run.worker_s == 2 * 5 + 80
    assert max(run.waits()) <= 30


def test_the_plan_heeds_the_maximum_and_is_late_then() -> None:
    run = plan(trace(*[(100.0, 10.0)] * 8), Plant(cold_start_s=5), max_wait_s=30, high=1)

    assert max(run.waits()) == pytest.approx(70, abs=1)
    assert run.worker_s == 85


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), mean_s=st.sampled_from([0.5, 5.0, 60.0]))
def test_the_plan_is_a_schedule_in_time_and_not_below_the_bound(seed: int, mean_s: float) -> None:
    draw = random.Random(seed)
    tasks = sorted(
        (draw.choice([draw.uniform(0, 2000), draw.uniform(500, 505)]), draw.expovariate(1 / mean_s))
        for _ in range(200)
    )
    made = trace(*tasks)
    plant = Plant(cold_start_s=5)
    run = plan(made, plant, max_wait_s=30, high=1000)

    assert max(run.waits()) <= 30 + 1e-6
    assert run.worker_s >= bound_s(made, plant)
    moves = [(s, 1) for s in run.starts]
    moves += [(s + r, -1) for s, r in zip(run.starts, made.runs, strict=True)]
    for at, workers in run.sizes:
        busy = sum(change for moment, change in moves if moment <= at)
        assert busy <= workers
