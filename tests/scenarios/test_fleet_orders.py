"""Fleets over time: schedules, pauses, limits that change, and a broker that is away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide.decision import Reason

NewFleet = Callable[..., Any]


def spec(**scaling: Any) -> TaskQueueSpec:
    return TaskQueueSpec.model_validate({"queues": ["q"], "scaling": scaling})


@pytest.mark.parametrize(
    ("day", "begins", "ends"),
    [
        pytest.param("2026-06-01", "02:00+02:00", "04:00+02:00", id="an ordinary night"),
        pytest.param("2026-03-29", "03:00+02:00", "05:00+02:00", id="the night that skips 02:00"),
        pytest.param("2026-10-25", "02:00+02:00", "03:00+01:00", id="the night that repeats it"),
    ],
)
def test_a_schedule_holds_its_floor_for_two_real_hours_in_any_night(
    new_fleet: NewFleet, day: str, begins: str, ends: str
) -> None:
    schedule = {
        "cron": "0 2 * * *", "timezone": "Europe/Paris", "duration": 7200.0, "min_replicas": 5,
    }  # fmt: skip
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Paris")).timestamp()
    fleet = new_fleet({"schedules": [schedule]}, now=midnight, tick_s=60.0)
    fleet.run(7 * 3600)
    held = [d.at for d in fleet.decisions if d.desired == 5]
    assert held[0] == datetime.fromisoformat(f"{day}T{begins}").timestamp()
    assert held[-1] == datetime.fromisoformat(f"{day}T{ends}").timestamp() - 60
    assert len(held) == 120
    # What is idle when the schedule ends goes at once: it was the schedule that wanted it.
    assert fleet.sizes[-1] == 0
    reasons = [r for r in fleet.reasons() if r is not Reason.DRAINING]
    assert reasons == [Reason.IDLE, Reason.SCHEDULE_FLOOR, Reason.IDLE]


def test_demand_above_a_schedules_floor_is_served_as_always(new_fleet: NewFleet) -> None:
    schedule = {"cron": "* * * * *", "duration": 3600.0, "min_replicas": 2}
    fleet = new_fleet({"max_replicas": 20, "schedules": [schedule]})
    fleet.publish(100, run_s=3.0)
    fleet.run(300)
    assert max(fleet.sizes) > 8
    assert fleet.replicas == 2
    assert fleet.last.reason is Reason.SCHEDULE_FLOOR


def test_a_broker_that_is_away_for_a_minute_changes_nothing(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 20})
    fleet.publish(60, run_s=20.0)
    fleet.run(40)
    size = fleet.replicas
    fleet.broker_problem = "connection refused"
    fleet.run(60)
    away = fleet.decisions[-60:]
    assert {d.replicas for d in away} == {size}
    assert {d.reason for d in away} == {Reason.BROKER_UNKNOWN}
    assert all(d.drain == d.remove == () for d in away)
    fleet.broker_problem = None
    fleet.run(15)
    # What is known again must hold for a while before anybody goes.
    assert {d.replicas for d in fleet.decisions[-15:]} == {size}
    fleet.run(400)
    assert fleet.finished_all_once()
    assert fleet.replicas == 0


def test_the_cooldown_does_not_run_while_nothing_is_known(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"cooldown_period": 60.0})
    fleet.publish()
    fleet.run(30)
    fleet.broker_problem = "connection refused"
    fleet.run(300)
    fleet.broker_problem = None
    fleet.run(55)
    assert set(fleet.sizes[-55:]) == {1}
    fleet.run(15)
    assert fleet.replicas == 0


def test_a_fallback_raises_the_fleet_until_the_broker_is_back(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"fallback": {"replicas": 6, "failure_threshold": 10}})
    fleet.publish()
    fleet.run(20)
    fleet.broker_problem = "connection refused"
    fleet.run(10)
    assert fleet.replicas == 1
    fleet.run(2)
    assert (fleet.replicas, fleet.last.reason) == (6, Reason.FALLBACK)
    fleet.broker_problem = None
    fleet.run(200)
    assert fleet.replicas == 0


def test_a_paused_fleet_stays_and_a_resumed_one_catches_up(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 20})
    fleet.publish(5, run_s=2.0)
    fleet.run(20)
    size = fleet.replicas
    fleet.spec = spec(max_replicas=20, paused=True)
    fleet.publish(400, run_s=2.0)
    fleet.run(30)
    assert set(fleet.sizes[-30:]) == {size}
    assert fleet.last.reason is Reason.PAUSED
    fleet.spec = spec(max_replicas=20)
    fleet.run(3)
    assert fleet.replicas > size
    fleet.run(300)
    assert fleet.finished_all_once()


def test_paused_at_a_number_goes_there_through_drain(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 20})
    fleet.publish(8, run_s=50.0)
    fleet.run(40)
    assert fleet.replicas == 8
    fleet.spec = spec(max_replicas=20, paused={"replicas": 2})
    fleet.run(3)
    assert (fleet.last.desired, fleet.last.replicas, len(fleet.last.drain)) == (2, 8, 6)
    fleet.run(60)
    assert fleet.replicas == 2
    assert fleet.finished_all_once()


def test_a_lowered_maximum_is_reached_as_tasks_end_and_cuts_none(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 20})
    fleet.publish(12, run_s=60.0)
    fleet.run(40)
    assert fleet.replicas == 12
    fleet.spec = spec(max_replicas=3)
    fleet.run(5)
    assert fleet.last.desired == 3
    fleet.run(100)
    assert fleet.replicas <= 3
    assert fleet.finished_all_once()


def test_a_pace_down_is_kept_all_the_way_to_zero(new_fleet: NewFleet) -> None:
    one_in_20_s = {"policies": [{"type": "Pods", "value": 1, "period_seconds": 20}]}
    behavior = {"scale_down": {"stabilization_window_seconds": 0} | one_in_20_s}
    fleet = new_fleet({"max_replicas": 20, "behavior": behavior, "cooldown_period": 10.0})
    fleet.publish(5, run_s=20.0)
    fleet.run(300)
    falls = [d.at for d in fleet.decisions if d.replicas < d.current]
    assert [d.replicas for d in fleet.decisions if d.replicas < d.current] == [4, 3, 2, 1, 0]
    assert all(later - earlier >= 20 for earlier, later in pairwise(falls))
