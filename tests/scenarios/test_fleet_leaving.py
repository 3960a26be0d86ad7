"""Fleets over time: nobody is cut short, and whoever is needed again is recalled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide.decision import Reason
from sluiceway.decide.history import History

NewFleet = Callable[..., Any]


def test_a_task_longer_than_everything_else_is_finished(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 10})
    fleet.publish(30, run_s=2.0)
    fleet.run(5)
    fleet.publish(1, run_s=900.0)
    fleet.run(300)
    # The others are long gone, and the one that is left is the one that works.
    assert fleet.replicas == 1
    assert fleet.last.reason is Reason.WORK_IN_FLIGHT
    fleet.run(900)
    assert fleet.finished_all_once()
    assert fleet.replicas == 0


def test_demand_that_returns_recalls_draining_workers_and_starts_nobody(
    new_fleet: NewFleet,
) -> None:
    fleet = new_fleet({"max_replicas": 4, "cooldown_period": 20.0})
    fleet.publish(12, run_s=30.0)
    fleet.run(90)
    names = {worker.name for worker in fleet.workers}
    assert len(names) == 4
    # Lower the maximum in the middle of the work: two are asked to drain and are busy.
    generous = fleet.spec
    fleet.spec = TaskQueueSpec.model_validate({"queues": ["q"], "scaling": {"max_replicas": 2}})
    fleet.run(2)
    assert len(fleet.last.drain) == 2
    assert fleet.last.reason is Reason.DRAINING
    # And raise it again before they have finished.
    fleet.spec = generous
    fleet.publish(8, run_s=30.0)
    fleet.run(2)
    assert fleet.last.drain == ()
    assert {worker.name for worker in fleet.workers} == names
    fleet.run(300)
    assert fleet.finished_all_once()


def test_the_same_workers_stay_chosen_until_they_have_gone(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 6})
    fleet.publish(6, run_s=200.0)
    fleet.run(30)
    fleet.spec = TaskQueueSpec.model_validate({"queues": ["q"], "scaling": {"max_replicas": 3}})
    chosen = fleet.tick().drain
    fleet.run(100)
    assert len(chosen) == 3
    assert all(d.drain == chosen for d in fleet.decisions[-100:])


def test_an_operator_that_starts_anew_goes_on_with_the_same_ones(new_fleet: NewFleet) -> None:
    fleet = new_fleet({"max_replicas": 6})
    fleet.publish(6, run_s=200.0)
    fleet.run(30)
    fleet.spec = TaskQueueSpec.model_validate({"queues": ["q"], "scaling": {"max_replicas": 3}})
    fleet.run(10)
    chosen = fleet.last.drain
    fleet.history = History()
    assert fleet.tick().drain == chosen
    fleet.run(500)
    assert fleet.finished_all_once()


def test_no_worker_is_taken_away_during_a_rollout_and_all_are_after_it(
    new_fleet: NewFleet,
) -> None:
    fleet = new_fleet({"max_replicas": 10})
    fleet.publish(40, run_s=3.0)
    fleet.run(15)
    size = fleet.replicas
    fleet.rolling_out = True
    fleet.run(200)
    assert fleet.replicas >= size
    assert fleet.last.reason is Reason.ROLLING_OUT
    fleet.rolling_out = False
    fleet.run(5)
    assert fleet.replicas == 0
    assert fleet.finished_all_once()


def test_an_eta_task_in_memory_keeps_one_worker_until_it_has_run(new_fleet: NewFleet) -> None:
    fleet = new_fleet()
    fleet.publish(3)
    fleet.run(8)
    fleet.publish(countdown=600.0)
    fleet.run(580)
    assert fleet.replicas == 1
    assert fleet.last.reason is Reason.WORK_SCHEDULED
    assert fleet.sizes.count(0) == 0
    fleet.run(200)
    assert fleet.finished_all_once()
    assert fleet.tasks[-1].waited_s < 1
    assert fleet.replicas == 0


def test_an_empty_fleet_sleeps_until_an_eta_task_is_due_and_is_there_in_time(
    new_fleet: NewFleet,
) -> None:
    fleet = new_fleet()
    fleet.publish(countdown=600.0)
    fleet.run(590)
    assert set(fleet.sizes) == {0}
    assert fleet.last.wake_at == fleet.tasks[0].eta - 5
    fleet.run(100)
    assert fleet.tasks[0].waited_s < 2


def test_a_message_lost_from_view_while_a_worker_takes_it_does_not_drop_the_fleet(
    new_fleet: NewFleet,
) -> None:
    """Between queue and heartbeat a message is nowhere; the cooldown bridges that."""
    fleet = new_fleet()
    fleet.publish()
    fleet.run(7)
    seen = fleet.observe()
    nowhere = replace(seen, in_flight=0, workers=tuple(replace(w, active=0) for w in seen.workers))
    fleet.observe = lambda: nowhere
    fleet.run(3)
    assert set(fleet.sizes[-3:]) == {1}
