"""What readings teach, and what must not fool them."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.decide.demand import Demand
from sluiceway.decide.estimate import COLD_START_PRIOR_S, MAX_TASK_NAMES, Learned
from sluiceway.decide.observation import (
    Observation,
    QueueView,
    RunTimes,
    WorkerState,
    WorkerView,
)

WINDOW_S = 100.0


def worker(name: str = "a", incarnation: int = 1, **fields: Any) -> WorkerView:
    given = {"state": WorkerState.CONSUMING} | fields
    return WorkerView(name=name, incarnation=f"{name}:{incarnation}", **given)


def reading(at: float, length: int | None, *workers: WorkerView, **fields: Any) -> Observation:
    return Observation(
        at=at, queues=(QueueView(name="q", length=length),), workers=workers,
        replicas=len(workers), **fields,
    )  # fmt: skip


def learn(*readings: Observation, known: Learned | None = None) -> Learned:
    learned = known or Learned()
    for one in readings:
        learned = learned.learn(one, Demand.of(one, one.at, 5.0), WINDOW_S)
    return learned


# --- arrivals -------------------------------------------------------------------------


def test_the_backlog_of_the_first_reading_has_not_just_arrived() -> None:
    assert learn(reading(0, 500)).rate_per_s == 0.0


def test_a_steady_stream_is_measured_whether_it_waits_or_is_finished_at_once() -> None:
    waiting = [reading(t, 7 * t) for t in range(1000)]
    finished = [reading(t, 0, worker(processed=7 * t)) for t in range(1000)]
    for stream in (waiting, finished):
        assert learn(*stream).rate_per_s == pytest.approx(7, rel=0.02)


def test_how_often_one_looks_does_not_matter() -> None:
    often = learn(*[reading(t, 7 * t) for t in range(0, 1001, 1)])
    rarely = learn(*[reading(t, 7 * t) for t in range(0, 1001, 50)])
    assert rarely.rate_per_s == pytest.approx(often.rate_per_s, rel=0.02)


def test_a_worker_that_restarts_is_no_fall_and_no_new_arrival() -> None:
    before = [reading(t, 0, worker(processed=7 * t)) for t in range(1000)]
    after = [reading(1000 + t, 0, worker(incarnation=2, processed=7 * t)) for t in range(1000)]
    assert learn(*before, *after).rate_per_s == pytest.approx(7, rel=0.02)


def test_a_worker_that_is_missing_from_one_reading_is_not_counted_twice() -> None:
    here = worker(processed=10_000)
    learned = learn(reading(0, 0, here), reading(1, 0), reading(2, 0, here))
    assert learned.rate_per_s == 0.0


def test_a_message_between_queue_and_heartbeat_is_no_arrival_when_it_shows_again() -> None:
    moves = [
        reading(0, 1, worker()),
        reading(1, 0, worker()),
        reading(2, 0, worker(active=1)),
        reading(3, 0, worker(processed=1)),
    ]
    assert learn(*moves).rate_per_s == pytest.approx(0.0, abs=0.001)


def test_an_unknown_reading_teaches_nothing_and_the_time_over_it_is_bridged() -> None:
    known = [reading(t, 7 * t) for t in range(1000)]
    gap = [reading(t, None) for t in range(1000, 1100)]
    learned = learn(*known, *gap, reading(1100, 7 * 1100))
    assert learned.rate_per_s == pytest.approx(7, rel=0.02)


def test_messages_for_the_future_arrive_when_they_are_due() -> None:
    later = Observation(
        at=1.0, queues=(QueueView(name="q", length=1, head_eta=500.0),), replicas=1,
    )  # fmt: skip
    held = reading(2, 0, worker(scheduled=1, earliest_eta=500.0))
    due = reading(500, 0, worker(active=1))
    before = learn(reading(0, 0), later, held)
    assert before.rate_per_s == pytest.approx(0.0)
    assert (learn(due, known=before).rate_per_s or 0) > 0


# --- run times ------------------------------------------------------------------------


def test_nothing_finished_means_no_run_time() -> None:
    runs = learn(reading(0, 9, worker(active=1, running_for_s=600.0))).all_runs
    assert (runs.mean_s, runs.deviation_s) == (None, None)


def test_mean_and_deviation_come_from_the_sums() -> None:
    tasks = {"t": RunTimes(count=2, sum_s=4.0, sumsq_s2=10.0)}  # 1 s and 3 s
    runs = learn(reading(0, 0, worker(tasks=tasks))).all_runs
    assert (runs.runs, runs.mean_s, runs.deviation_s) == (2, 2.0, 1.0)


def test_a_new_operator_knows_run_times_from_its_first_reading() -> None:
    tasks = {"t": RunTimes(count=9000, sum_s=18_000.0, sumsq_s2=36_000.0)}
    assert learn(reading(0, 0, worker(tasks=tasks))).all_runs.mean_s == pytest.approx(2.0)


def test_old_runs_fade_as_new_ones_come() -> None:
    stages = [reading(0, 0, worker(tasks={"t": RunTimes(count=5000, sum_s=5000.0)}))]
    stages += [
        reading(
            n,
            0,
            worker(
                processed=n, tasks={"t": RunTimes(count=5000 + 100 * n, sum_s=5000.0 + 900 * n)}
            ),
        )
        for n in range(1, 30)
    ]
    assert learn(*stages).all_runs.mean_s == pytest.approx(9.0, rel=0.02)


def test_of_a_long_run_only_so_much_is_planned_for() -> None:
    ended = [
        reading(n, 0, worker(processed=n, tasks={"t": RunTimes(count=n, sum_s=sum_s)}))
        for n, sum_s in ((1, 2.0), (2, 3602.0))
    ]
    learned = Learned()
    for one in ended:
        learned = learned.learn(one, Demand.of(one, one.at, 5.0), WINDOW_S, longest_s=30.0)
    assert learned.all_runs.mean_s == pytest.approx(1801.0)
    assert learned.all_runs.planned_s == pytest.approx(16.0)


def test_a_task_that_runs_once_an_hour_is_not_forgotten_in_between() -> None:
    once = learn(reading(0, 0, worker(tasks={"t": RunTimes(count=1, sum_s=40.0)})))
    quiet = [reading(600.0 * n, 0) for n in range(1, 7)]
    assert learn(*quiet, known=once).all_runs.mean_s == 40.0


def test_task_names_are_bounded_and_nothing_is_lost_from_the_sum() -> None:
    tasks = {f"t{n}": RunTimes(count=1, sum_s=2.0) for n in range(200)}
    learned = learn(reading(0, 0, worker(tasks=tasks)))
    assert len(learned.run_times) == MAX_TASK_NAMES
    assert (learned.all_runs.runs, learned.all_runs.mean_s) == (200, 2.0)


# --- workers --------------------------------------------------------------------------


def test_until_a_worker_has_started_a_cold_start_is_assumed() -> None:
    starting = WorkerView(name="a", state=WorkerState.STARTING)
    assert learn(reading(0, 0, starting)).cold_start_or_prior_s == COLD_START_PRIOR_S


def test_each_start_is_counted_once_and_a_new_one_moves_the_estimate() -> None:
    slow, quick = worker("a", started_in_s=20.0), worker("b", started_in_s=10.0)
    learned = learn(*[reading(t, 0, slow) for t in range(50)])
    assert learned.cold_start_s == 20.0
    learned = learn(*[reading(t, 0, slow, quick) for t in range(50, 99)], known=learned)
    assert learned.cold_start_s == pytest.approx(17.0)


def test_the_usual_number_of_slots_counts() -> None:
    fleet = [worker(name, slots=slots) for name, slots in (("a", 4), ("b", 8), ("c", 4))]
    assert learn(reading(0, 0, *fleet)).slots == 4


def test_workers_of_long_ago_are_forgotten() -> None:
    readings = [reading(100.0 * n, 0, worker(incarnation=n)) for n in range(100)]
    assert len(learn(*readings).counted) <= 7
