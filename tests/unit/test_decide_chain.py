"""decide as a table: one situation a line, and what is to come out of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide
from sluiceway.decide.decision import Reason
from sluiceway.decide.history import History
from sluiceway.decide.observation import (
    Observation,
    RunTimes,
    WorkerState,
)
from tests.unit.situations import (
    NOW,
    STARTING,
    idle_workers,
    knew_of,
    knows,
    queue,
    seen,
    spec,
    worker,
)

TABLE: dict[str, tuple[TaskQueueSpec, Observation, History, int, Reason]] = {
    # --- what demand asks for
    "an idle fleet at zero stays there": (
        spec(), seen(), History(), 0, Reason.IDLE,
    ),
    "the first message of a fresh fleet starts one worker": (
        spec(), seen(1), History(), 1, Reason.WORK_WAITING,
    ),
    "many messages of unknown length start four workers": (
        spec(), seen(500), History(), 4, Reason.WORK_WAITING,
    ),
    "a worker takes as many tasks of unknown length as it has slots": (
        spec(concurrency=4), seen(6), History(), 2, Reason.WORK_WAITING,
    ),
    "the wait target decides once run times are known": (
        # 300 messages × 2 s in 15 s and the 7 s of a start are 27.3 slots, 7 workers of 4
        spec(concurrency=4), seen(300), knows(2.0), 7, Reason.MEETING_TARGET,
    ),
    "a long task needs a slot of its own": (
        spec(), seen(7), knows(120.0), 7, Reason.MEETING_TARGET,
    ),
    "short tasks behind one that has long overrun get workers of their own": (
        # its slot is taken; 4 × 2 s in 30 s - 1 s - 20 s - 5 s of start are 2 slots more
        spec(),
        seen(
            replicas=1,
            queues=(queue(4, oldest_wait_s=20.0),),
            workers=(worker("w0", active=1, running_for_s=100.0),),
            in_flight=1,
        ),
        knew_of(5, knows(2.0)), 3, Reason.MEETING_TARGET,
    ),
    "messages that are late ask for more than those that are not": (
        # 300 × 1 s within 3 s, a tenth of the target
        spec(max_replicas=200),
        seen(300, queues=(queue(300, oldest_wait_s=45.0),)),
        knew_of(300, knows(1.0)), 100, Reason.MEETING_TARGET,
    ),
    "a message for the future starts nobody": (
        spec(), seen(queues=(queue(1, head_eta=NOW + 600),)), knows(1.0), 0, Reason.IDLE,
    ),
    "a message that comes due within the cold start starts a worker": (
        spec(), seen(queues=(queue(1, head_eta=NOW + 4),)), knows(1.0), 1, Reason.WORK_SCHEDULED,
    ),
    "a message behind one for the future waits, unless it is known to be for later too": (
        spec(), seen(queues=(queue(2, head_eta=NOW + 600),)), knows(1.0), 1, Reason.MEETING_TARGET,
    ),
    "several messages for the future start nobody": (
        spec(),
        seen(queues=(queue(2, head_eta=NOW + 600, later_etas=(NOW + 600, NOW + 900)),)),
        knows(1.0), 0, Reason.IDLE,
    ),
    "a backlog target divides, and rounds up": (
        spec(target={"backlog_per_replica": 10}), seen(41), knows(), 5, Reason.MEETING_TARGET,
    ),
    "in-flight tasks belong to the backlog": (
        spec(target={"backlog_per_replica": 10}), seen(31, in_flight=10), knows(), 5,
        Reason.MEETING_TARGET,
    ),
    "queues are summed": (
        spec(target={"backlog_per_replica": 10}), seen(queues=(queue(15), queue(16))), knows(), 4,
        Reason.MEETING_TARGET,
    ),
    # --- holding on
    "an idle fleet keeps one worker until three new ones could have started": (
        spec(), seen(replicas=1), knows(1.0, idle_s=14), 1, Reason.COOLING_DOWN,
    ),
    "an idle fleet keeps one worker until the cooldown is over": (
        spec(cooldown_period=60.0), seen(replicas=1), knows(1.0, idle_s=59), 1, Reason.COOLING_DOWN,
    ),
    "an idle fleet goes to zero once the cooldown is over": (
        spec(), seen(replicas=1), knows(1.0, idle_s=60), 0, Reason.DRAINING,
    ),
    "the step to zero does not wait for the window above zero": (
        spec(), seen(replicas=3), knows(1.0, idle_s=60, recommendations=((NOW - 10, 3),)), 0,
        Reason.DRAINING,
    ),
    "a step above zero waits for the highest recommendation of its window": (
        spec(), seen(1, replicas=5), knows(1.0, recommendations=((NOW - 59, 4),)), 4,
        Reason.DRAINING,
    ),
    "a fresh operator waits a full window before it takes anybody away": (
        spec(), seen(1, replicas=5), History(), 5, Reason.STABILIZED,
    ),
    "an ETA task held by a worker keeps one worker": (
        spec(),
        seen(replicas=2, workers=(worker("a", scheduled=1, earliest_eta=NOW + 9e5), worker("b"))),
        knows(1.0), 1, Reason.DRAINING,
    ),
    "an ETA task in the last worker keeps it however long it takes": (
        spec(),
        seen(replicas=1, workers=(worker("a", scheduled=1, earliest_eta=NOW + 9e5),)),
        knows(1.0, idle_s=9e4), 1, Reason.WORK_SCHEDULED,
    ),
    "a running task keeps its worker": (
        spec(), seen(replicas=1, workers=(worker("a", active=1, running_for_s=900.0),)),
        knows(1.0, idle_s=9e4), 1, Reason.WORK_IN_FLIGHT,
    ),
    "minReplicas is a floor": (
        spec(min_replicas=2), seen(replicas=5), knows(1.0, idle_s=600), 2, Reason.DRAINING,
    ),
    "a fleet at its minimum says so": (
        spec(min_replicas=2), seen(replicas=2), knows(1.0, idle_s=600), 2, Reason.AT_MINIMUM,
    ),
    "maxReplicas is a ceiling": (
        spec(max_replicas=3), seen(900), knows(1.0), 3, Reason.AT_MAXIMUM,
    ),
    "a raised minimum is met at once": (
        spec(min_replicas=6), seen(replicas=1), knows(1.0), 6, Reason.AT_MINIMUM,
    ),
    "below the minimum demand may ask for more at once": (
        spec(min_replicas=2), seen(800), knows(1.0), 37, Reason.MEETING_TARGET,
    ),
    "with a scaleUp block the minimum comes first, as in the HPA": (
        spec(min_replicas=2, behavior={"scale_up": {}}), seen(900), knows(1.0), 2,
        Reason.AT_MINIMUM,
    ),
    "a lowered maximum is met through drain, without window": (
        spec(max_replicas=3), seen(900, replicas=5), knows(1.0, recommendations=((NOW, 5),)), 3,
        Reason.DRAINING,
    ),
    "a message at zero starts one worker whatever behavior says": (
        spec(behavior={"scale_up": {"select_policy": "Disabled"}}), seen(90), knows(1.0), 1,
        Reason.RATE_LIMITED,
    ),
    "a scale-up window does not hold the first worker back": (
        spec(behavior={"scale_up": {"stabilization_window_seconds": 300}}),
        seen(90), History(), 1, Reason.WORK_WAITING,
    ),
    "behavior limits the pace": (
        spec(behavior={"scale_up": {"policies": [
            {"type": "Pods", "value": 2, "period_seconds": 60}]}}),
        seen(900, replicas=3), knows(1.0), 5, Reason.RATE_LIMITED,
    ),
    "a pace toward zero holds for the last step, too": (
        spec(behavior={"scale_down": {"policies": [
            {"type": "Pods", "value": 1, "period_seconds": 60}]}}),
        seen(replicas=3), knows(1.0, idle_s=600), 2, Reason.DRAINING,
    ),
    "within the tolerance nothing changes": (
        spec(target={"backlog_per_replica": 10}, behavior={"scale_up": {"tolerance": "0.05"}}),
        seen(83, replicas=8), knows(), 8, Reason.WITHIN_TOLERANCE,
    ),
    "beyond the tolerance the number follows": (
        spec(target={"backlog_per_replica": 10}, behavior={"scale_up": {"tolerance": "0.05"}}),
        seen(85, replicas=8), knows(), 9, Reason.MEETING_TARGET,
    ),
    "no worker is taken away during a rollout": (
        spec(), seen(replicas=5, rolling_out=True), knows(1.0, idle_s=600), 5, Reason.ROLLING_OUT,
    ),
    "workers are added during a rollout": (
        spec(), seen(7, replicas=5, rolling_out=True), knows(120.0), 7, Reason.MEETING_TARGET,
    ),
    # --- paused
    "paused: left as it is, whatever waits": (
        spec(paused=True), seen(900, replicas=2), knows(1.0), 2, Reason.PAUSED,
    ),
    "paused: left as it is, whatever the limits say": (
        spec(paused=True, max_replicas=3), seen(replicas=5), knows(1.0), 5, Reason.PAUSED,
    ),
    "paused at a number: that many, also above the maximum": (
        spec(paused={"replicas": 50}), seen(replicas=2), knows(1.0), 50, Reason.PAUSED,
    ),
    "paused at a number: that many, also while there is work": (
        spec(paused={"replicas": 0}), seen(900, replicas=2), knows(1.0), 0, Reason.PAUSED,
    ),
    # --- unknown
    "a broker that cannot be read leaves the fleet where it is": (
        spec(),
        seen(None, replicas=5, broker_problem="connection refused"),
        knows(1.0, idle_s=600), 5, Reason.BROKER_UNKNOWN,
    ),
    "a broker that cannot be read starts nobody": (
        spec(), seen(None, broker_problem="connection refused"), knows(1.0), 0,
        Reason.BROKER_UNKNOWN,
    ),
    "another broker than the workers' leaves the fleet where it is": (
        spec(), seen(0, replicas=5, mismatch="the workers are on database 1"),
        knows(1.0, idle_s=600), 5, Reason.BROKER_MISMATCH,
    ),
    "one queue that cannot be read forbids the way down": (
        spec(), seen(replicas=5, queues=(queue(0), queue(None, problem="WRONGTYPE"))),
        knows(1.0, idle_s=600), 5, Reason.BROKER_UNKNOWN,
    ),
    "one queue that cannot be read leaves the way up for the others": (
        spec(), seen(replicas=5, queues=(queue(9), queue(None, problem="WRONGTYPE"))),
        knows(120.0), 9, Reason.BROKER_UNKNOWN,
    ),
    "the minimum holds while nothing is known": (
        spec(min_replicas=2), seen(None, broker_problem="connection refused"), knows(1.0), 2,
        Reason.BROKER_UNKNOWN,
    ),
    "a worker that fell silent is kept for what it may be running": (
        spec(),
        seen(replicas=2, workers=(worker("a", WorkerState.SILENT), worker("b"))),
        knows(1.0, idle_s=600), 1, Reason.DRAINING,
    ),
    # --- workers that do not report
    "not reporting: zero only when nothing is unacknowledged": (
        spec(), seen(replicas=2, workers_report=False, unacked=1), knows(None, idle_s=600), 1,
        Reason.WORK_IN_FLIGHT,
    ),
    "not reporting: to zero when nothing is unacknowledged": (
        spec(), seen(replicas=2, workers_report=False, unacked=0), knows(None, idle_s=600), 0,
        Reason.IDLE,
    ),
    "not reporting: no fewer than what may be running needs": (
        spec(concurrency=4), seen(replicas=8, workers=(), workers_report=False, unacked=9),
        knows(), 3,
        Reason.WORK_IN_FLIGHT,
    ),
    "not reporting and nothing known of what runs: nobody is taken away": (
        spec(), seen(replicas=8, workers_report=False), knows(), 8, Reason.WORK_IN_FLIGHT,
    ),
    "not reporting: the backlog may double the fleet once the last workers have come": (
        spec(), seen(900, replicas=8, workers_report=False, unacked=9),
        knows(raised_at=NOW - 6), 16, Reason.WORK_WAITING,
    ),
    "not reporting: no doubling before they have come": (
        spec(), seen(900, replicas=8, workers_report=False, unacked=9),
        knows(raised_at=NOW - 2), 8, Reason.WORK_WAITING,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("spec_", "observation", "history", "desired", "reason"),
    TABLE.values(),
    ids=TABLE.keys(),
)
def test_a_situation_leads_to_a_number_and_a_reason(
    spec_: TaskQueueSpec,
    observation: Observation,
    history: History,
    desired: int,
    reason: Reason,
) -> None:
    decision = decide(spec_, observation, history, NOW)
    assert (decision.desired, decision.reason) == (desired, reason), decision.sentence
    plural = "worker" if desired == 1 else "workers"
    assert decision.sentence.startswith(f"{desired} {plural}: ")
    assert decision.sentence.endswith(".")
    assert decision.steps[0].name == "demand"
    assert decision.steps[-1].name == "drain"
    assert all(step.sentence[0].isupper() or step.sentence[0].isdigit() for step in decision.steps)


# --- fallback -------------------------------------------------------------------------


WAKES: dict[str, tuple[TaskQueueSpec, Observation, History, float | None]] = {
    "an idle fleet at zero needs no waking": (spec(), seen(), knows(1.0, idle_s=600), None),
    "the cooldown ends": (
        spec(cooldown_period=60.0), seen(replicas=1), knows(1.0, idle_s=20), NOW + 40,
    ),
    "the window ends": (
        spec(), seen(1, replicas=5), knows(1.0, recommendations=((NOW - 50, 4), (NOW - 9, 2))),
        NOW + 10,
    ),
    "a policy's period ends": (
        spec(behavior={"scale_up": {"policies": [
            {"type": "Pods", "value": 2, "period_seconds": 60}]}}),
        seen(900, replicas=3), knows(1.0, scale_ups=((NOW - 15, 2),)), NOW + 45,
    ),
    "an ETA comes due, less the cold start": (
        spec(), seen(queues=(queue(1, head_eta=NOW + 600),)), knows(1.0), NOW + 595,
    ),
    "a held ETA comes due, less the cold start": (
        spec(), seen(replicas=1, workers=(worker("a", scheduled=1, earliest_eta=NOW + 90),)),
        knows(1.0), NOW + 85,
    ),
    "a schedule begins": (
        # 1 764 000 000 is 16:00 UTC
        spec(schedules=[{"cron": "30 17 * * *", "duration": 600, "min_replicas": 2}]),
        seen(), knows(1.0), NOW + 5400,
    ),
    "a schedule ends": (
        spec(schedules=[{"cron": "0 16 * * *", "duration": 600, "min_replicas": 2}]),
        seen(), knows(1.0), NOW + 600,
    ),
    "more may start once the first ones have come": (
        spec(), seen(900, replicas=4, workers=tuple(worker(n, STARTING) for n in "abcd")),
        knows(None, raised_at=NOW - 2), NOW + 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("spec_", "observation", "history", "wake_at"), WAKES.values(), ids=WAKES.keys()
)
def test_a_decision_names_the_next_moment_that_matters(
    spec_: TaskQueueSpec, observation: Observation, history: History, wake_at: float | None
) -> None:
    assert decide(spec_, observation, history, NOW).wake_at == wake_at


# --- what is carried over -------------------------------------------------------------


def test_a_change_counts_as_an_event_only_once_it_is_seen() -> None:
    limited = spec(behavior={"scale_up": {"policies": [
        {"type": "Pods", "value": 2, "period_seconds": 60}]}})  # fmt: skip
    first = decide(limited, seen(900, replicas=3), knows(1.0), NOW)
    assert first.replicas == 5
    not_done = decide(limited, seen(900, replicas=3), first.history, NOW + 2)
    assert not_done.replicas == 5
    assert not_done.history.scale_ups == ()
    done = decide(limited, seen(900, replicas=5), not_done.history, NOW + 4)
    assert done.history.scale_ups == ((NOW + 2, 2),)
    assert (done.replicas, done.reason) == (5, Reason.RATE_LIMITED)


def test_slots_are_what_heartbeats_say_then_what_is_written_then_what_was_learned() -> None:
    one_each = {"target": {"max_wait": 30.0}}
    busy = idle_workers(1, slots=8, tasks={"t": RunTimes(count=1, sum_s=60.0)})
    heard = decide(spec(concurrency=2, **one_each), seen(32, 1, workers=busy), knows(60.0), NOW)
    assert heard.recommendation == 4
    written = decide(spec(concurrency=2, **one_each), seen(32), heard.history, NOW)
    assert written.recommendation == 16
    learned = decide(spec(**one_each), seen(32), heard.history, NOW)
    assert learned.recommendation == 4


def test_resuming_after_a_pause_is_a_fresh_start() -> None:
    paused = decide(spec(paused=True), seen(1, replicas=5), knows(1.0), NOW)
    resumed = decide(spec(), seen(1, replicas=5), paused.history, NOW + 1)
    assert (resumed.desired, resumed.reason) == (5, Reason.STABILIZED)


def test_workers_are_not_added_to_those_that_cannot_work() -> None:
    found = decide(spec(), seen(1000, replicas=2, stuck="no image"), knows(10.0), NOW)
    assert (found.desired, found.replicas, found.reason) == (2, 2, Reason.WORKERS_FAILING)
    assert "no image" in found.sentence


def test_a_fleet_that_is_stuck_may_still_shrink_and_may_start_from_zero() -> None:
    idle = decide(spec(), seen(0, replicas=2, stuck="no image"), knows(idle_s=600.0), NOW)
    assert idle.desired == 0
    first = decide(spec(), seen(1000, replicas=0, stuck="no quota"), knows(10.0), NOW)
    assert first.desired > 0


def test_arrivals_that_fade_do_not_call_back_the_last_worker_of_an_idle_fleet() -> None:
    # A block that is given has the HPA's tolerance of 0.1.
    written = spec(
        behavior={"scale_down": {"stabilization_window_seconds": 0}}, cooldown_period=60.0
    )
    fading = replace(knows(10.0).learned, rate_per_s=0.096)
    history = replace(knows(10.0, idle_s=61.0), learned=fading)
    asked = [
        decide(written, seen(0, replicas=1), replace(history, idle_since=NOW - idle_s), NOW)
        for idle_s in (10.0, 20.0, 30.0)
    ]
    assert {one.reason for one in asked} == {Reason.COOLING_DOWN}
