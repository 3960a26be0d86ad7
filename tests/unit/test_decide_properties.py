"""What holds for every fleet at every moment, whatever it went through before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide
from sluiceway.decide.decision import Reason
from sluiceway.decide.history import History
from sluiceway.decide.observation import (
    Observation,
    QueueView,
    RunTimes,
    WorkerState,
    WorkerView,
)
from sluiceway.decide.schedules import floor_at

START = 1_764_000_000.0
OFTEN = settings(max_examples=100, deadline=None)

counts = st.integers(0, 12)
rules = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "stabilization_window_seconds": st.integers(0, 120),
        "select_policy": st.sampled_from(["Max", "Min", "Disabled"]),
        "tolerance": st.sampled_from(["0", "0.2"]),
        "policies": st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.sampled_from(["Pods", "Percent"]),
                    "value": st.integers(1, 200),
                    "period_seconds": st.integers(1, 60),
                }
            ),
            min_size=1,
            max_size=2,
        ),
    },
)


@st.composite
def specs(draw: st.DrawFn, *, commands: bool = False) -> TaskQueueSpec:
    """``commands``: also what may lower a fleet on no knowledge, because a user wrote so."""
    low, high = sorted((draw(counts), draw(st.integers(1, 12))))
    fallbacks = ["currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]
    scaling: dict[str, Any] = {
        "min_replicas": min(low, high),
        "max_replicas": max(high, 1),
        "target": draw(
            st.sampled_from([{"max_wait": 5.0}, {"max_wait": 30.0}, {"backlog_per_replica": 4}])
        ),
        "behavior": {"scale_up": draw(rules), "scale_down": draw(rules)},
        "cooldown_period": draw(st.sampled_from([0.0, 30.0, 60.0])),
        "schedules": draw(
            st.lists(
                st.fixed_dictionaries(
                    {
                        "cron": st.sampled_from(["* * * * *", "*/5 * * * *", "0 16 * * *"]),
                        "duration": st.sampled_from([10.0, 60.0, 3600.0]),
                        "min_replicas": counts,
                    }
                ),
                max_size=2,
            )
        ),
        "fallback": draw(
            st.none()
            | st.fixed_dictionaries(
                {
                    "replicas": counts,
                    "failure_threshold": st.integers(1, 2),
                    "behavior": st.sampled_from([*fallbacks, "static"] if commands else fallbacks),
                }
            )
        ),
        "paused": draw(
            st.sampled_from([False, False, True, {"replicas": 3}]) if commands else st.just(False)
        ),
    }
    worker = {"concurrency": draw(st.none() | st.integers(1, 4))}
    return TaskQueueSpec.model_validate({"queues": ["a"], "worker": worker, "scaling": scaling})


@st.composite
def workers(draw: st.DrawFn, name: str) -> WorkerView:
    state = draw(st.sampled_from(WorkerState))
    if state is WorkerState.STARTING:
        return WorkerView(name=name, state=state)
    active = draw(st.integers(0, 3))
    finished = draw(st.integers(0, 50))
    return WorkerView(
        name=name,
        incarnation=f"{name}:{draw(st.integers(1, 2))}",
        state=state,
        slots=draw(st.integers(1, 4)),
        active=active,
        reserved=draw(st.integers(0, 2)),
        scheduled=draw(st.sampled_from([0, 0, 1])),
        running_for_s=draw(st.floats(0, 1000)) if active else None,
        processed=finished,
        tasks={"t": RunTimes(count=finished, sum_s=finished * draw(st.floats(0, 100)))},
        started_in_s=draw(st.none() | st.floats(0, 60)),
    )


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    present = [draw(workers(f"w{i}")) for i in range(draw(st.integers(0, 6)))]
    queues = tuple(
        QueueView(
            name=name,
            length=draw(st.none() | st.integers(0, 300)) if draw(st.booleans()) else 0,
            oldest_wait_s=draw(st.none() | st.floats(0, 100)),
            head_eta=draw(st.none() | st.floats(START, START + 500)),
            problem="WRONGTYPE",
        )
        for name in "ab"[: draw(st.integers(1, 2))]
    )
    return Observation(
        at=START,
        queues=queues,
        workers=tuple(present),
        replicas=draw(counts),
        broker_problem=draw(st.sampled_from([None, None, None, "connection refused"])),
        mismatch=draw(st.sampled_from([None, None, None, None, "another database"])),
        unacked=draw(st.none() | counts),
        in_flight=draw(st.none() | counts),
        workers_report=draw(st.booleans()),
        rolling_out=draw(st.sampled_from([False, False, True])),
    )


@st.composite
def moments(draw: st.DrawFn, *, commands: bool = False) -> tuple[Any, ...]:
    """A spec, an observation, the history of a few earlier ones, and now."""
    spec = draw(specs(commands=commands))
    history, now = History(), START
    for _ in range(draw(st.integers(0, 3))):
        earlier = replace(draw(observations()), at=now)
        history = decide(spec, earlier, history, now).history
        now += draw(st.sampled_from([0.0, 1.0, 2.5, 20.0, 61.0]))
    return spec, replace(draw(observations()), at=now), history, now


@OFTEN
@given(moments())
def test_never_above_the_maximum_nor_below_the_minimum(moment: tuple[Any, ...]) -> None:
    spec, observation, history, now = moment
    assume(not observation.rolling_out or observation.replicas <= spec.scaling.max_replicas)
    decision = decide(spec, observation, history, now)
    high = spec.scaling.max_replicas
    floor = floor_at(spec.scaling.schedules, now).replicas
    assert min(high, max(spec.scaling.min_replicas, floor)) <= decision.desired <= high
    assert decision.replicas <= max(high, observation.replicas)


@OFTEN
@given(moments())
def test_unknown_never_lowers(moment: tuple[Any, ...]) -> None:
    spec, observation, history, now = moment
    assume(not observation.known)
    decision = decide(spec, observation, history, now)
    assert decision.desired >= min(observation.replicas, spec.scaling.max_replicas)
    if observation.broker_problem or observation.mismatch:
        assert decision.replicas >= observation.replicas
        assert decision.remove == ()


@OFTEN
@given(moments(), st.integers(1, 1000))
def test_more_backlog_never_asks_for_fewer_workers(moment: tuple[Any, ...], more: int) -> None:
    spec, observation, history, now = moment
    first, *others = observation.queues
    assume(first.length is not None)
    longer = replace(first, length=first.length + more)
    fuller = replace(observation, queues=(longer, *others))
    less, rather = decide(spec, observation, history, now), decide(spec, fuller, history, now)
    assert rather.desired >= less.desired
    assert rather.replicas >= less.replicas
    assert (rather.recommendation or 0) >= (less.recommendation or 0)


@OFTEN
@given(moments(commands=True), st.randoms(use_true_random=False))
def test_the_same_input_gives_the_same_decision_in_whatever_order_workers_come(
    moment: tuple[Any, ...], random: Any
) -> None:
    spec, observation, history, now = moment
    shuffled = list(observation.workers)
    random.shuffle(shuffled)
    again = replace(observation, workers=tuple(shuffled))
    assert decide(spec, observation, history, now) == decide(spec, again, history, now)


@OFTEN
@given(moments(commands=True))
def test_only_workers_that_are_there_and_free_leave(moment: tuple[Any, ...]) -> None:
    spec, observation, history, now = moment
    decision = decide(spec, observation, history, now)
    by_name = {worker.name: worker for worker in observation.workers}
    assert set(decision.drain) <= {w.incarnation for w in observation.workers}
    for name in decision.remove:
        leaving = by_name[name]
        assert leaving.active == 0
        assert leaving.reserved == 0
        assert leaving.state is not WorkerState.STOPPING
    assert len(set(decision.remove)) == len(decision.remove)
    if decision.replicas <= observation.replicas and observation.workers_report:
        assert decision.replicas == observation.replicas - len(decision.remove)
    if decision.replicas > observation.replicas:
        assert decision.drain == decision.remove == ()


@OFTEN
@given(moments(commands=True))
def test_nobody_leaves_during_a_rollout(moment: tuple[Any, ...]) -> None:
    spec, observation, history, now = moment
    decision = decide(spec, replace(observation, rolling_out=True), history, now)
    assert decision.replicas >= observation.replicas
    assert decision.drain == decision.remove == ()


@OFTEN
@given(moments(), st.integers(1, 1000))
def test_work_that_is_there_always_has_a_worker(moment: tuple[Any, ...], length: int) -> None:
    spec, observation, history, now = moment
    waiting = replace(
        observation,
        queues=(QueueView(name="a", length=length),),
        broker_problem=None,
        mismatch=None,
    )
    assert decide(spec, waiting, history, now).desired >= 1


@OFTEN
@given(moments(commands=True))
def test_a_decision_always_explains_itself(moment: tuple[Any, ...]) -> None:
    spec, observation, history, now = moment
    decision = decide(spec, observation, history, now)
    assert decision.sentence
    assert isinstance(decision.reason, Reason)
    assert decision.steps[0].name == "demand"
    assert decision.wake_at is None or decision.wake_at > now


@OFTEN
@given(moments())
def test_memory_is_bounded_by_windows_and_workers(moment: tuple[Any, ...]) -> None:
    spec, observation, history, now = moment
    for tick in range(30):
        observation = replace(observation, at=now + tick)
        history = decide(spec, observation, history, now + tick).history
    assert len(history.recommendations) <= 2 * len({v for _, v in history.recommendations})
    assert len(history.learned.run_times) <= 50
    assert len(history.learned.counted) <= 60
