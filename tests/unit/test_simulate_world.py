"""The simulated world: every task runs once, and no worker is there before it can be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.simulate.ours import Sluiceway, observe
from sluiceway.simulate.run import Attention, Change, Run, simulate
from sluiceway.simulate.simple_policies import Fixed
from sluiceway.simulate.trace import Trace
from sluiceway.simulate.world import WAKE_S, Plant, World


def trace(*tasks: tuple[float, float], span_s: float | None = None) -> Trace:
    arrivals, runs = [t[0] for t in tasks], [t[1] for t in tasks]
    last = max(arrivals, default=0.0)
    return Trace(name="t", arrivals=arrivals, runs=runs, span_s=last if span_s is None else span_s)


def sluiceway(**scaling: object) -> Sluiceway:
    spec = TaskQueueSpec.model_validate({"queues": ["q"], "scaling": scaling})
    return Sluiceway(spec)


class Steps:
    """A policy that asks for given numbers at given moments."""

    name = "steps"

    def __init__(self, *steps: tuple[float, int]) -> None:
        self.steps = list(steps)

    def look(self, world: World) -> Attention:
        while self.steps and self.steps[0][0] <= world.now:
            world.scale(self.steps.pop(0)[1])
        return Attention(at=self.steps[0][0] if self.steps else math.inf)

    def changes(self) -> list[Change]:
        return []


TASKS = st.lists(st.tuples(st.floats(0, 300), st.floats(0, 60)), min_size=1, max_size=60).map(
    sorted
)


def busy_at_once(run: Run, starts: list[float]) -> int:
    """The most tasks that ran at the same time."""
    moves = [(s, 1) for s in starts]
    moves += [(s + r, -1) for s, r in zip(starts, run.trace.runs, strict=True)]
    most = now = 0
    for _, change in sorted(moves):
        now += change
        most = max(most, now)
    return most


@settings(max_examples=60, deadline=None)
@given(tasks=TASKS, slots=st.integers(1, 3), prefetch=st.integers(1, 3))
def test_every_task_starts_once_and_ends_once_and_none_is_cut(
    tasks: list[tuple[float, float]], slots: int, prefetch: int
) -> None:
    plant = Plant(slots=slots, prefetch=prefetch)
    world = World(trace(*tasks), plant)
    policy = sluiceway(maxReplicas=5)
    while not (world.done and world.now >= world.trace.span_s):
        attention = policy.look(world)
        running = sum(len(w.active) for w in world.workers.values())
        reserved = sum(len(w.reserved) for w in world.workers.values())
        assert world.arrived == len(world.waiting) + reserved + running + world.ended
        assert running == world.running
        until = attention.at if not world.done else min(attention.at, world.trace.span_s)
        world.advance(until, on_message=attention.on_message, on_worker=attention.on_worker)
    assert world.ended == len(tasks)
    assert world.cut == 0
    assert all(
        start >= arrived for start, arrived in zip(world.started, world.trace.arrivals, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(tasks=TASKS, cold_start_s=st.floats(0, 40), slots=st.integers(1, 3))
def test_no_more_runs_than_the_slots_of_the_workers_that_are_there(
    tasks: list[tuple[float, float]], cold_start_s: float, slots: int
) -> None:
    run = simulate(
        trace(*tasks), Plant(cold_start_s=cold_start_s, slots=slots), sluiceway(maxReplicas=5)
    )

    assert busy_at_once(run, run.starts) <= slots * max(n for _, n in run.sizes)
    first = run.sizes[0][0]
    assert all(start >= first + cold_start_s for start in run.starts)


@settings(max_examples=25, deadline=None)
@given(tasks=TASKS)
def test_the_same_trace_gives_the_same_run(tasks: list[tuple[float, float]]) -> None:
    runs = [simulate(trace(*tasks), Plant(), sluiceway()) for _ in range(2)]

    assert runs[0] == runs[1]


def test_a_task_starts_when_the_cold_start_is_over_and_the_next_when_it_ends() -> None:
    run = simulate(trace((0, 10), (1, 10), (50, 10)), Plant(cold_start_s=5), Fixed(1))

    assert run.starts == [5, 15, 50]
    assert run.waits() == [5, 14, 0]
    assert run.end_s == 60
    assert run.worker_s == 60


def test_slots_run_side_by_side_and_workers_take_in_turns() -> None:
    run = simulate(trace((10, 4), (10, 4), (10, 4), (10, 4), (10, 4)), Plant(slots=2), Fixed(2))

    assert run.starts == [10, 10, 10, 10, 14]


def test_what_a_worker_has_prefetched_no_other_can_take() -> None:
    world = World(trace((0, 100), (0, 100), (10, 1)), Plant(cold_start_s=1, prefetch=2))
    world.scale(1)
    world.advance(5)
    world.scale(2)
    world.advance(20)

    first, second = world.workers.values()
    assert (first.active, list(first.reserved)) == ([0], [1])
    assert second.processed == 1


def test_a_worker_that_drains_gives_back_what_it_reserved_and_finishes_what_runs() -> None:
    world = World(trace((0, 30), (0, 30), (0, 30)), Plant(cold_start_s=1, prefetch=2))
    world.scale(1)
    world.advance(2)
    world.drain(["w000001:1"])

    assert list(world.waiting) == [1, 2]
    world.advance(100)
    assert world.ended == 1
    view = observe(world, 0.0).workers[0]
    assert (view.state, view.active) == ("drained", 0)


def test_a_worker_that_is_recalled_goes_on_at_once() -> None:
    world = World(trace((0, 1), (50, 1)), Plant(cold_start_s=1))
    world.scale(1)
    world.advance(10)
    world.drain(["w000001:1"])
    world.advance(60)
    world.drain([])
    world.advance(70)

    assert world.started == [1, 60]


def test_a_pod_that_is_told_to_go_finishes_within_its_grace_period() -> None:
    run = simulate(
        trace((0, 30)), Plant(cold_start_s=0, grace_s=40), Steps((0, 1), (10, 0), (20, 0))
    )

    assert (run.cut, run.worker_s) == (0, 30)


def test_a_task_that_outlasts_the_grace_period_is_cut_and_runs_again() -> None:
    plant = Plant(cold_start_s=0, grace_s=5, redelivery_s=100)
    run = simulate(trace((0, 30)), plant, Steps((0, 1), (10, 0), (50, 1)))

    assert run.cut == 1
    assert run.starts == [0]
    assert run.end_s == 15 + 100 + 30


def test_kubernetes_takes_whoever_is_not_ready_and_then_the_youngest() -> None:
    world = World(trace(), Plant(cold_start_s=10))
    world.scale(1)
    world.advance(20)
    world.scale(2)
    world.advance(40)
    world.scale(3)
    world.scale(2)
    assert list(world.workers) == ["w000001", "w000003"]
    world.scale(1)
    assert list(world.workers) == ["w000001"]


def test_a_first_message_stops_the_clock_soon_and_what_came_with_it_is_there() -> None:
    world = World(trace((3, 1), (3, 1), (4, 1)), Plant())
    world.advance(100, on_message=True)
    assert (world.now, len(world.waiting)) == (3 + WAKE_S, 2)
    world.advance(100, on_message=True)
    assert world.now == 100


def test_ours_is_woken_by_the_first_message_of_a_fleet_at_zero() -> None:
    run = simulate(trace((123.4, 1)), Plant(cold_start_s=5), sluiceway())

    assert run.waits() == [pytest.approx(5 + WAKE_S)]
    assert [c.reason for c in run.changes][:2] == ["Idle", "WorkWaiting"]


def test_a_world_in_which_nothing_can_end_is_given_up() -> None:
    run = simulate(trace((0, 1)), Plant(), sluiceway(maxReplicas=0))

    assert math.isnan(run.starts[0])
    assert run.waits()[0] == run.end_s


def looks_of(policy: Sluiceway, made: Trace) -> list[float]:
    """When the policy looked."""
    looks: list[float] = []
    plain = policy.look

    def look(world: World) -> Attention:
        looks.append(world.now)
        return plain(world)

    policy.look = look  # type: ignore[method-assign]
    simulate(made, Plant(cold_start_s=5), policy)
    return looks


def test_ours_looks_every_ten_seconds_at_rest_and_every_two_with_workers() -> None:
    looks = looks_of(sluiceway(), trace((35.0, 20.0), span_s=60))

    assert looks[:5] == [0, 10, 20, 30, 35 + WAKE_S]
    began = 35 + WAKE_S
    assert looks[5:8] == [began + 2, began + 4, began + 5]  # there since the worker came
    assert looks[8] == began + 7


def test_ours_looks_at_the_moment_that_a_decision_named() -> None:
    looks = looks_of(sluiceway(cooldownPeriod="15s"), trace((0.5, 1.0), span_s=60))
    ended = looks[1] + 5 + 1
    idle_seen = next(at for at in looks if at >= ended)

    assert any(at == pytest.approx(idle_seen + 15, abs=1e-6) for at in looks)
