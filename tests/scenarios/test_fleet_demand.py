"""Fleets over time: work comes, is done within the target, and the workers go again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sluiceway.decide.decision import Reason

NewFleet = Callable[..., Any]


def test_a_burst_takes_a_fleet_from_zero_to_many_and_back_to_zero(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 40}, slots=4)
    fleet.run(3)
    fleet.publish(300, run_s=2.0)
    fleet.run(200)
    assert fleet.finished_all_once()
    assert fleet.share_within(30) == 1.0
    assert max(fleet.sizes) == 8  # 75 would be one for every four messages
    assert fleet.replicas == 0
    assert fleet.reasons()[0] is Reason.IDLE
    assert fleet.last.reason is Reason.IDLE


def test_the_first_message_is_answered_in_the_same_tick(new_fleet: NewFleet) -> None:
    fleet = new_fleet()
    fleet.run(10)
    fleet.publish()
    assert fleet.tick().replicas == 1


def test_long_tasks_get_a_worker_each_before_the_target_is_over(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 40})
    fleet.publish(40, run_s=20.0)
    fleet.run(400)
    assert fleet.finished_all_once()
    assert fleet.share_within(30) == 1.0
    assert fleet.replicas == 0


def test_short_tasks_behind_a_long_one_do_not_wait_for_its_end(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 4})
    fleet.publish(10, run_s=0.5)
    fleet.run(300)  # what is known now: tasks take half a second
    fleet.publish(1, run_s=900.0)
    fleet.run(60)
    assert fleet.replicas == 1
    fleet.publish(4, run_s=0.5)
    fleet.run(1200)
    assert fleet.finished_all_once()
    assert fleet.share_within(30) == 1.0


def test_known_run_times_ask_for_the_right_number_at_once(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 40})
    fleet.publish(10, run_s=2.0)
    fleet.run(300)
    assert fleet.replicas == 0
    fleet.publish(100, run_s=2.0)
    assert fleet.tick().replicas == 10  # 100 × 2 s in 15 s and the 7 s of a start
    fleet.run(200)
    assert max(fleet.sizes) <= 10
    assert fleet.share_within(30) == 1.0


def test_a_steady_stream_is_served_within_the_target_by_about_what_it_needs(
    new_fleet: NewFleet,
) -> None:
    fleet = new_fleet({"max_replicas": 40})
    fleet.run(600, lambda f: f.publish(10, run_s=1.0))
    settled = fleet.sizes[300:]
    assert fleet.share_within(30) == 1.0
    assert min(settled) >= 10
    assert max(settled) <= 13  # λ·S is 10


def test_a_steady_stream_does_not_make_the_fleet_flap(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 40})
    fleet.run(900, lambda f: f.publish(7, run_s=1.3))
    before, after = fleet.decisions[:450], fleet.decisions[450:]
    assert sum(d.replicas != d.current for d in after) <= 10  # one in 45 s
    assert sum(d.replicas != d.current for d in before) <= 20


def test_a_burst_on_top_of_a_stream_is_worked_off_within_the_target(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 80})
    start = fleet.now

    def stream(f: Any) -> None:
        f.publish(310 if round(f.now - start) == 300 else 10, run_s=1.0)

    fleet.run(500, stream)
    assert fleet.share_within(30) == 1.0
    assert max(fleet.sizes) <= 32  # 10 for the stream, 300/25 for the burst, and what waited


def test_a_trickle_below_the_cooldown_keeps_one_worker_and_never_flaps(
    new_fleet: NewFleet,
) -> None:
    fleet = new_fleet({"cooldown_period": 60.0})
    start = fleet.now
    fleet.run(1200, lambda f: f.publish() if round(f.now - start) % 20 == 0 else None)
    assert fleet.actions == 1
    assert set(fleet.sizes) == {1}


def test_a_trickle_above_the_cooldown_costs_one_start_for_each_message(
    new_fleet: NewFleet,
) -> None:
    fleet = new_fleet()
    start = fleet.now
    fleet.run(1200, lambda f: f.publish() if round(f.now - start) % 200 == 0 else None)
    assert fleet.actions == 12
    assert set(fleet.sizes) == {0, 1}


def test_an_idle_fleet_goes_once_the_cooldown_is_over_and_not_before(
    new_fleet: NewFleet,
) -> None:
    fleet = new_fleet({"cooldown_period": 120.0})
    fleet.publish(run_s=1.0)
    fleet.run(8)
    finished = fleet.tasks[0].finished
    fleet.run(300)
    gone = next(d.at for d in fleet.decisions if d.at > finished and d.replicas == 0)
    assert 120 <= gone - finished <= 123


def test_a_fleet_that_is_only_asked_when_it_wants_to_be_still_reaches_zero(
    new_fleet: NewFleet,
) -> None:
    fleet = new_fleet()
    fleet.publish(5, run_s=1.0)
    fleet.run(20)
    for _ in range(20):
        wake_at = fleet.last.wake_at
        if wake_at is None:
            break
        fleet.now = max(fleet.now, wake_at)
        fleet.tick()
    fleet.run(3)  # what drains says so by itself
    assert fleet.replicas == 0


def test_a_backlog_target_follows_the_backlog(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 40, "target": {"backlog_per_replica": 5}})
    fleet.publish(100, run_s=3.0)
    fleet.run(300)
    assert max(fleet.sizes) == 20
    assert fleet.finished_all_once()
    assert fleet.replicas == 0


@pytest.mark.parametrize("cold_start_s", [1.0, 20.0])
def test_a_slow_start_is_learned_and_allowed_for(new_fleet: NewFleet, cold_start_s: float) -> None:
    fleet = new_fleet({"max_replicas": 60}, cold_start_s=cold_start_s)
    fleet.publish(20, run_s=2.0)
    fleet.run(300)
    learned = len(fleet.tasks)
    fleet.publish(120, run_s=2.0)
    fleet.run(300)
    waits = [task.waited_s for task in fleet.tasks[learned:]]
    assert max(waits) <= 30
