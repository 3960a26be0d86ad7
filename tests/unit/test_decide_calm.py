"""When the number of a fleet with a wait target is left as it is, and when not."""

from __future__ import annotations

from typing import Any

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide
from sluiceway.decide.arrivals import Stretch
from sluiceway.decide.decision import Decision, Reason
from sluiceway.decide.estimate import Learned, RunStats
from sluiceway.decide.history import History
from sluiceway.decide.observation import Observation, QueueView, WorkerState, WorkerView

NOW = 1_764_000_000.0


def busy(number: int, active: int = 1) -> tuple[WorkerView, ...]:
    return tuple(
        WorkerView(
            name=f"w{n:02}",
            incarnation=f"w{n:02}:1",
            state=WorkerState.CONSUMING,
            active=active,
            running_for_s=0.0 if active else None,
        )
        for n in range(number)
    )


def fleet(
    waiting: int,
    workers: tuple[WorkerView, ...],
    *,
    oldest_wait_s: float = 0.0,
    run_s: float = 1.0,
    runs: float = 100.0,
    usual: float = 0.0,
    **scaling: Any,
) -> Decision:
    """A target of 30 s and a cold start of 5 s: an answer takes 7 s, two of them 12 s."""
    spec = TaskQueueSpec.model_validate(
        {"queues": ["video"], "scaling": {"max_replicas": 100} | scaling}
    )
    observation = Observation(
        at=NOW,
        queues=(
            QueueView(
                name="video", length=waiting, oldest_wait_s=oldest_wait_s if waiting else None
            ),
        ),
        workers=workers,
        replicas=len(workers),
    )
    learned = Learned(
        at=NOW,
        backlog=waiting + sum(worker.active for worker in workers),
        usual_per_s=usual,
        arrivals=(Stretch(since=NOW - 30, until=NOW, number=int(30 * usual)),) if usual else (),
        run_times={"t": RunStats(runs=runs, sum_s=runs * run_s)},
        cold_start_s=5.0,
    )
    history = History(since=NOW - 1000, recommendations=((NOW - 1000, 0),), learned=learned)
    return decide(spec, observation, history, NOW)


def test_more_than_would_do_may_wait_as_long_as_all_of_it_starts_in_time() -> None:
    # 28 s of work for one slot: in order it wants 28 / 22, in time it needs the one.
    decision = fleet(27, busy(1))
    assert (decision.recommendation, decision.desired) == (2, 1)
    assert decision.reason is Reason.STABILIZED


def test_a_small_step_waits_for_its_last_moment_and_no_longer() -> None:
    # Two slots do 38 s of work in the time that is left, and 39 s are there.
    early = fleet(37, busy(2), oldest_wait_s=10.0)
    assert (early.recommendation, early.desired) == (3, 2)
    # Of 30 s one is kept, and two starts with the look between them take 12 s: until 17 s.
    assert early.wake_at == NOW + 7.0
    assert [fleet(24, busy(2), oldest_wait_s=at).desired for at in (16.9, 17.1)] == [2, 3]


def test_a_large_step_does_not_wait() -> None:
    assert fleet(200, busy(2)).desired == 10


def test_what_only_a_few_runs_tell_puts_nothing_off() -> None:
    assert fleet(37, busy(2), oldest_wait_s=10.0, runs=29.0).desired == 3


def test_runs_that_are_longer_than_the_target_put_nothing_off() -> None:
    assert fleet(1, busy(4), run_s=300.0).desired == 5


def test_a_written_scale_up_stands_in_place_of_this() -> None:
    written: dict[str, Any] = {"behavior": {"scale_up": {"stabilization_window_seconds": 0}}}
    assert fleet(27, busy(1), **written).desired == 2


def test_nobody_is_asked_to_go_while_all_have_work() -> None:
    # Ten a second of 1 s each: 8 slots go on, and one message waits.
    full = fleet(1, busy(20), usual=10.0)
    assert (full.desired, full.reason) == (20, Reason.STABILIZED)
    idle = fleet(1, busy(20, active=0), usual=10.0)
    assert (idle.desired, len(idle.drain)) == (8, 12)


def test_where_nothing_waits_who_is_too_many_is_asked_to_go_at_once() -> None:
    assert fleet(0, busy(20), usual=10.0).desired == 8
    near = fleet(0, busy(10), usual=10.0)
    assert (near.desired, near.reason) == (10, Reason.WITHIN_TOLERANCE)
