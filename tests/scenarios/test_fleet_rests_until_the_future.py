"""A fleet whose work lies ahead: it rests until then, and is there in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HOURS = 3600.0
QUICK = {"maxReplicas": 5, "cooldownPeriod": "30s"}


def test_a_fleet_whose_only_task_lies_three_hours_ahead_goes_to_zero_and_starts_it_in_time(
    new_fleet: Callable[..., Any],
) -> None:
    fleet = new_fleet(QUICK, parks=True, cold_start_s=20.0, tick_s=2.0)
    fleet.publish(run_s=1.0)
    fleet.publish(run_s=1.0, countdown=3 * HOURS)

    fleet.run(300)

    assert fleet.sizes[-1] == 0
    assert "1 parked, the first due at 2025-11-24 19:00 UTC" in fleet.last.sentence
    assert fleet.last.wake_at == fleet.parked[0].eta - 20.0

    fleet.run(3 * HOURS - 320)
    assert fleet.sizes[-1] == 0
    fleet.run(300)

    assert fleet.finished_all_once()
    assert all(task.waited_s <= 25.0 for task in fleet.tasks)
    assert fleet.tasks[1].waited_s <= 2.0
    assert fleet.sizes[-1] == 0
    assert fleet.worker_seconds < 400


def test_without_parking_the_same_fleet_keeps_a_worker_all_the_while(
    new_fleet: Callable[..., Any],
) -> None:
    fleet = new_fleet(QUICK, cold_start_s=20.0, tick_s=2.0)
    fleet.publish(run_s=1.0)
    fleet.publish(run_s=1.0, countdown=3 * HOURS)

    fleet.run(3 * HOURS)

    assert min(fleet.sizes[10:]) == 1


def test_retries_a_few_minutes_ahead_do_not_make_a_fleet_go_and_come_again_and_again(
    new_fleet: Callable[..., Any],
) -> None:
    fleet = new_fleet(QUICK, parks=True, cold_start_s=5.0, tick_s=2.0)
    for countdown in (60, 120, 240):
        fleet.publish(4, run_s=1.0, countdown=countdown)
    fleet.publish(run_s=1.0)

    fleet.run(600)

    assert fleet.finished_all_once()
    assert fleet.actions <= 8
    assert max(task.waited_s for task in fleet.tasks) <= 15.0
