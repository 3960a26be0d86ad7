"""Who is asked to drain, who is recalled, and when the number falls."""

from __future__ import annotations

from dataclasses import replace

from sluiceway.decide import decide
from sluiceway.decide.observation import (
    WorkerState,
)
from tests.unit.situations import (
    DRAIN,
    DRAINED,
    NOW,
    STARTING,
    idle_workers,
    knows,
    seen,
    spec,
    worker,
)


def test_going_down_asks_first_and_lowers_only_by_who_has_drained() -> None:
    asked = decide(spec(), seen(replicas=3), knows(1.0, idle_s=600), NOW)
    assert asked.drain == ("w0:1", "w1:1", "w2:1")
    assert (asked.desired, asked.replicas, asked.remove) == (0, 3, ())
    some = (worker("w0", DRAINED), worker("w1", DRAIN, active=1), worker("w2", DRAINED))
    seen_then = seen(replicas=3, workers=some, in_flight=0)
    waiting = decide(spec(), seen_then, asked.history, NOW)
    # Two that have nothing to do cost as much as a change of the number in 15 s.
    assert (waiting.replicas, waiting.remove, waiting.wake_at) == (3, (), NOW + 15)
    then = decide(spec(), replace(seen_then, at=NOW + 15), waiting.history, NOW + 15)
    assert then.remove == ("w0", "w2")
    assert then.replicas == 1
    # A lease is held until they are gone: they must not begin again meanwhile.
    assert then.drain == ("w0:1", "w1:1", "w2:1")


def test_when_demand_returns_draining_workers_are_recalled_before_any_is_asked_for() -> None:
    workers = (worker("a"), worker("b", DRAIN, active=1), worker("c", DRAINED))
    history = knows(120.0, draining=("b:1", "c:1"))
    decision = decide(spec(), seen(2, replicas=3, workers=workers), history, NOW)
    assert (decision.replicas, decision.drain, decision.remove) == (3, (), ())


def test_some_are_recalled_when_some_are_needed() -> None:
    workers = tuple(worker(name, DRAIN) for name in "abcd")
    history = knows(120.0, aimed=0, draining=tuple(f"{name}:1" for name in "abcd"))
    decision = decide(spec(), seen(3, replicas=4, workers=workers), history, NOW)
    assert (decision.desired, decision.replicas) == (3, 4)
    assert decision.drain == ("a:1",)


def test_workers_that_do_not_exist_go_first_and_have_no_name() -> None:
    observation = seen(replicas=5, missing=3, workers=idle_workers(2))
    decision = decide(spec(), observation, knows(1.0, idle_s=600), NOW)
    assert (decision.desired, decision.replicas, decision.remove) == (0, 2, ())


def test_a_stopping_worker_is_no_capacity_and_no_victim() -> None:
    stopping = worker("old", WorkerState.STOPPING, active=1)
    observation = seen(replicas=2, workers=(*idle_workers(2), stopping), in_flight=1)
    decision = decide(spec(), observation, knows(1.0), NOW)
    assert decision.desired == 1
    assert decision.drain == ("w0:1",)


def test_workers_that_do_not_report_go_by_number_and_the_cluster_chooses() -> None:
    observation = seen(
        replicas=3, workers=tuple(worker(n, STARTING) for n in "abc"), workers_report=False,
        unacked=0,
    )  # fmt: skip
    decision = decide(spec(), observation, knows(None, idle_s=600), NOW)
    assert (decision.replicas, decision.drain, decision.remove) == (0, (), ())


def test_a_broker_that_cannot_be_read_recalls_nobody_by_a_write_and_removes_nobody() -> None:
    workers = (worker("a", DRAINED), worker("b", DRAINED))
    observation = seen(None, replicas=2, workers=workers, broker_problem="timeout")
    decision = decide(spec(max_replicas=1), observation, knows(1.0), NOW)
    assert (decision.desired, decision.replicas, decision.remove) == (1, 2, ())


# --- waking ---------------------------------------------------------------------------
