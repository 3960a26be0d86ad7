"""When workers that have finished go: together, and none of them long after the first."""

from __future__ import annotations

from typing import Any

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide
from sluiceway.decide.decision import Decision
from sluiceway.decide.estimate import Learned, RunStats
from sluiceway.decide.history import Drained, History
from sluiceway.decide.observation import Observation, QueueView, WorkerState, WorkerView

NOW = 1_764_000_000.0


def worker(name: str, state: WorkerState, active: int = 0) -> WorkerView:
    return WorkerView(
        name=name,
        incarnation=f"{name}:1",
        state=state,
        active=active,
        running_for_s=1.0 if active else None,
    )


def lowered(done: int, working: int, **history: Any) -> Decision:
    """A fleet of nothing but workers that were asked to go, with nothing that waits."""
    workers = (
        *(worker(f"d{n}", WorkerState.DRAINED) for n in range(done)),
        *(worker(f"w{n}", WorkerState.DRAINING, active=1) for n in range(working)),
    )
    spec = TaskQueueSpec.model_validate({"queues": ["video"], "scaling": {"max_replicas": 50}})
    observation = Observation(
        at=NOW, queues=(QueueView(name="video", length=0),), workers=workers, replicas=len(workers)
    )
    learned = Learned(
        at=NOW - 2, run_times={"t": RunStats(runs=100, sum_s=100.0)}, cold_start_s=5.0
    )
    known: dict[str, Any] = {
        "since": NOW - 1000,
        "recommendations": ((NOW - 1000, 0),),
        "aimed": 1,
        "draining": tuple(sorted(w.incarnation or "" for w in workers)),
        "learned": learned,
    }
    return decide(spec, observation, History(**known | history), NOW)


def test_those_who_are_done_wait_for_others_that_still_work() -> None:
    decision = lowered(6, 4)
    assert (decision.replicas, decision.remove) == (10, ())
    assert "6 workers could, and wait for others to go with" in decision.steps[-1].sentence
    # 30 worker-seconds of six workers
    assert decision.wake_at == NOW + 5.0


def test_they_go_once_they_have_cost_as_much_as_a_change() -> None:
    spent = lowered(6, 4, drained=Drained(at=NOW - 2, workers=5, spent_s=20.0))
    assert len(spent.remove) == 6
    assert spent.history.drained == Drained()


def test_what_they_cost_adds_up_from_look_to_look() -> None:
    decision = lowered(6, 4, drained=Drained(at=NOW - 2, workers=5, spent_s=4.0))
    assert decision.history.drained == Drained(at=NOW, workers=6, spent_s=14.0)
    assert decision.wake_at == NOW + (30 - 14) / 6


def test_where_nobody_is_left_to_wait_for_they_go_at_once() -> None:
    assert len(lowered(3, 0, idle_since=NOW - 1).remove) == 2


def test_a_few_wait_for_the_last_worker_of_an_idle_fleet_and_many_do_not() -> None:
    soon: dict[str, Any] = {"idle_since": NOW - 5, "cools_down_at": NOW + 10}

    def still(number: int) -> Drained:
        return Drained(at=NOW, workers=number, spent_s=5.0)

    assert lowered(3, 0, drained=still(2), **soon).remove == ()
    assert len(lowered(9, 0, drained=still(8), **soon).remove) == 8


def test_a_fleet_above_its_maximum_lets_each_go_as_it_is_done() -> None:
    assert len(lowered(2, 55).remove) == 2
