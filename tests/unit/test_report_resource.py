"""What stands in a TaskQueue's status: numbers, conditions as GitOps tools read them, changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluiceway.api.status import TaskQueueStatus
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.decide.decision import Reason, Step
from sluiceway.decide.observation import QueueView
from sluiceway.report.conditions import Condition, Verdict
from sluiceway.report.resource import CHANGES, Seen, SetupProblem, resource_status
from sluiceway.report.resource_conditions import FAILING_FOR_S
from sluiceway.report.rounding import shown_count, shown_duration, shown_rate
from sluiceway.report.status import DEMAND_KNOWN, READY, WAKING, FleetStatus, Workers

TASKQUEUE = TaskQueue.from_outside(
    {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": "video", "namespace": "shop"},
        "spec": {"queues": ["video", "clips"], "worker": {"app": "tasks"}},
    }
)
AT = 1_700_000_000.0
NO_CLASS = SetupProblem(
    reason="WorkerClassNotFound", sentence="worker.className: there is no WorkerClass gpu"
)
NO_ANSWER = SetupProblem(
    reason="ApiServerUnanswered", sentence="it does not answer in time", person_must_act=False
)


def condition(type_: str, status: Verdict, reason: str = "Fine", **more: Any) -> Condition:
    given = {"message": f"{type_} is {status}", "since": AT} | more
    return Condition(type=type_, status=status, reason=reason, **given)


def workers(asked: int, **more: int) -> Workers:
    given = {
        "asked_before": asked, "desired": asked, "ready": asked, "starting": 0, "draining": 0,
        "silent": 0, "asked_to_drain": 0,
    }  # fmt: skip
    return Workers(asked=asked, **given | more)


def fleet(*conditions: Condition, at: float = AT, **more: Any) -> FleetStatus:
    """Three workers that consume, and 1 140 tasks that wait."""
    fine = {kind: condition(kind, Verdict.TRUE) for kind in (READY, DEMAND_KNOWN, WAKING)}
    given = {
        "fleet": "shop/video",
        "queues": (QueueView(name="video", length=1_140, oldest_wait_s=35.4),),
        "waiting": 1_140,
        "oldest_wait_s": 35.4,
        "in_flight": 12,
        "scheduled": 0,
        "arrival_rate_per_s": 2.13,
        "mean_run_time_s": 2.14,
        "workers_report": True,
        "workers": workers(3),
        "reason": Reason.MEETING_TARGET,
        "sentence": "3 workers: 1 140 waiting tasks.",
        "steps": (
            Step(name="demand", replicas=None, sentence="1 140 wait."),
            Step(name="limits", replicas=3, sentence="Between 0 and 40."),
        ),
        "conditions": tuple((fine | {one.type: one for one in conditions}).values()),
    }
    return FleetStatus(at=at, **given | more)


UNREADABLE: dict[str, Any] = {
    "waiting": None,
    "oldest_wait_s": None,
    "in_flight": None,
    "arrival_rate_per_s": None,
    "queues": (QueueView(name="video", problem="nothing listens there"),),
    "reason": Reason.BROKER_UNKNOWN,
}
BROKER_DOWN = (
    condition(READY, Verdict.UNKNOWN, "BrokerUnknown"),
    condition(DEMAND_KNOWN, Verdict.FALSE, "BrokerUnknown", message="nothing listens there"),
)


def status(
    seen: FleetStatus | None = None,
    *,
    before: dict[str, Any] | None = None,
    at: float = AT,
    generation: int = 3,
    **more: Any,
) -> dict[str, Any]:
    given = {"taskqueue": TASKQUEUE, "class_name": "high-cpu"} | more
    body = resource_status(
        Seen(at=at, generation=generation, fleet=seen, **given),
        before or {},
    )
    # Whatever it is, the API server has to take it as it stands.
    TaskQueueStatus.from_outside(body)
    return body


def verdicts(body: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["status"] for one in body["conditions"]}


def of(body: dict[str, Any], type_: str) -> dict[str, Any]:
    return next(one for one in body["conditions"] if one["type"] == type_)


def test_a_status_answers_at_a_glance() -> None:
    body = status(fleet())

    assert {name: value for name, value in body.items() if name != "conditions"} == {
        "observedGeneration": 3,
        "queueNames": "video,clips",
        "className": "high-cpu",
        "acks": "app",
        "waiting": 1_100,
        "oldestTaskAge": "35s",
        "inFlight": 12,
        "scheduled": 0,
        "arrivalRate": "2.1",
        "meanRunTime": "2s100ms",
        "desiredReplicas": 3,
        "replicas": 3,
        "runningReplicas": 3,
        "readyReplicas": 3,
        "startingReplicas": 0,
        "drainingReplicas": 0,
        "silentReplicas": 0,
        "reason": "MeetingTarget",
        "message": "3 workers: 1 140 waiting tasks.",
    }


def test_a_fleet_in_order_says_so_and_has_no_condition_that_it_does_not_need() -> None:
    assert verdicts(status(fleet())) == {
        "Ready": "True",
        "ScalingActive": "True",
        "BrokerReachable": "True",
        "Waking": "True",
        "WorkersReport": "True",
    }


def test_what_is_not_known_is_left_out_and_never_zero() -> None:
    body = status(fleet(*BROKER_DOWN, **UNREADABLE, mean_run_time_s=None), class_name=None)

    assert not body.keys() & {
        "waiting", "oldestTaskAge", "inFlight", "arrivalRate", "meanRunTime", "className",
    }  # fmt: skip
    assert body["readyReplicas"] == 3


def test_an_age_that_is_only_a_lower_bound_says_so() -> None:
    bound = QueueView(name="video", length=1, oldest_wait_s=35.0, oldest_wait_is_exact=False)

    assert status(fleet(queues=(bound,)))["oldestTaskAge"] == "≥35s"


def test_a_new_taskqueue_is_unknown_and_under_way_and_never_false() -> None:
    body = status(None)

    assert body["observedGeneration"] == 3
    assert verdicts(body) == {
        "Ready": "Unknown",
        "Reconciling": "True",
        "ScalingActive": "Unknown",
    }
    assert not body.keys() & {"waiting", "desiredReplicas", "readyReplicas"}


def test_a_new_spec_is_acknowledged_at_once_and_the_numbers_stay_until_it_is_in_force() -> None:
    before = status(fleet())
    body = status(None, before=before, generation=4)

    assert (body["observedGeneration"], body["waiting"]) == (4, 1_100)
    assert verdicts(body)["Ready"] == "Unknown"
    assert verdicts(body)["Reconciling"] == "True"
    assert {one["observedGeneration"] for one in body["conditions"]} == {4}


def test_an_operator_that_starts_changes_nothing_before_it_has_looked() -> None:
    before = status(fleet())

    assert status(None, before=before) == before


def test_what_a_person_must_mend_is_false_and_stalled_with_the_sentence() -> None:
    body = status(None, problem=NO_CLASS, class_name=None)

    assert verdicts(body) == {"Ready": "False", "Stalled": "True", "ScalingActive": "False"}
    assert of(body, "Stalled")["message"] == NO_CLASS.sentence
    assert (body["reason"], body["message"]) == ("WorkerClassNotFound", NO_CLASS.sentence)


def test_a_fleet_that_is_kept_despite_a_problem_still_shows_its_numbers() -> None:
    body = status(fleet(), problem=NO_CLASS)

    assert (body["readyReplicas"], body["reason"]) == (3, "WorkerClassNotFound")
    assert verdicts(body)["Stalled"] == "True"
    assert verdicts(body)["BrokerReachable"] == "True"


def test_a_problem_that_may_pass_is_under_way_and_stalls_nothing() -> None:
    body = status(None, problem=NO_ANSWER)

    assert verdicts(body)["Ready"] == "Unknown"
    assert verdicts(body)["Reconciling"] == "True"
    assert "Stalled" not in verdicts(body)
    assert status(fleet(), problem=NO_ANSWER)["reason"] == "MeetingTarget"


def test_a_spec_that_cannot_be_read_keeps_what_was_known_of_it() -> None:
    before = status(fleet())
    body = status(None, before=before, problem=NO_CLASS, taskqueue=None, class_name=None)

    assert (body["queueNames"], body["acks"]) == ("video,clips", "app")
    assert not body.keys() & {"waiting", "readyReplicas"}, "nobody looks at it any more"


@pytest.mark.parametrize(
    ("reason", "others"),
    [
        ("BrokerUnknown", {"BrokerReachable": "False", "ScalingActive": "False"}),
        (
            "BrokerMismatch",
            {"BrokerReachable": "True", "BrokerMismatch": "True", "ScalingActive": "False"},
        ),
        ("QueueUnknown", {"BrokerReachable": "True", "ScalingActive": "False"}),
    ],
)
def test_demand_that_is_not_known_is_told_by_the_condition_that_it_belongs_to(
    reason: str, others: dict[str, str]
) -> None:
    seen = fleet(
        condition(READY, Verdict.UNKNOWN, "BrokerUnknown"),
        condition(DEMAND_KNOWN, Verdict.FALSE, reason, message="why it is not"),
        **UNREADABLE,
    )
    body = status(seen)
    told = verdicts(body)

    assert told["Ready"] == "Unknown"
    assert others.items() <= told.items()
    assert ("BrokerMismatch" in told) is (reason == "BrokerMismatch")
    assert "Reconciling" not in told, "nothing is under way"
    assert (of(body, "ScalingActive")["reason"], of(body, "ScalingActive")["message"]) == (
        reason,
        "why it is not",
    )


def test_fallback_and_pause_are_reasons_for_not_scaling() -> None:
    fallback = fleet(*BROKER_DOWN, **UNREADABLE | {"reason": Reason.FALLBACK})
    paused = fleet(reason=Reason.PAUSED)

    assert of(status(fallback), "ScalingActive")["reason"] == "Fallback"
    assert of(status(paused), "ScalingActive")["reason"] == "Paused"
    assert verdicts(status(paused))["Ready"] == "True"


def test_workers_that_start_are_under_way() -> None:
    starting = condition(READY, Verdict.UNKNOWN, "WorkersStarting")
    body = status(fleet(starting, workers=workers(3, ready=1, starting=2)))

    assert verdicts(body)["Reconciling"] == "True"
    assert of(body, "Ready")["reason"] == "WorkersStarting"
    assert (body["readyReplicas"], body["startingReplicas"], body["runningReplicas"]) == (1, 2, 3)


def test_workers_that_fail_need_a_person_only_once_it_has_lasted() -> None:
    failing = condition(READY, Verdict.FALSE, "WorkersFailing", message="no node", since=AT)
    soon = status(fleet(failing), at=AT + FAILING_FOR_S - 1)
    late = status(fleet(failing), at=AT + FAILING_FOR_S, before=soon)

    assert (verdicts(soon)["Ready"], of(soon, "Ready")["message"]) == ("Unknown", "no node")
    assert verdicts(soon)["Reconciling"] == "True"
    assert verdicts(late)["Ready"] == "False"
    assert "Reconciling" not in verdicts(late)
    assert "Stalled" not in verdicts(late), "it may still get well by itself"


def test_a_broker_that_may_lose_tasks_and_an_agent_that_is_missing_are_told() -> None:
    risky = status(fleet(), broker_warnings=("set noeviction", "turn on appendonly"))

    assert of(risky, "BrokerMayLoseTasks")["message"] == "set noeviction; turn on appendonly"
    assert verdicts(risky)["Ready"] == "True"
    assert of(status(fleet(workers_report=False)), "WorkersReport")["reason"] == "NoAgent"
    missing = of(status(fleet(agent_problem="python 2.7 cannot load it")), "WorkersReport")
    assert (missing["status"], missing["message"]) == ("False", "python 2.7 cannot load it")


def test_a_visibility_timeout_is_told_of_only_while_it_is_too_short() -> None:
    short = status(fleet(timeout_warnings=("it is 60s", "that of shop/mail is 30s")))

    told = of(short, "VisibilityTimeoutTooShort")
    assert (told["status"], told["message"]) == ("True", "it is 60s; that of shop/mail is 30s")
    assert "VisibilityTimeoutTooShort" not in verdicts(status(fleet(), before=short))


def test_the_time_of_a_condition_moves_only_when_its_status_does() -> None:
    first = status(fleet())
    same = status(fleet(workers=workers(4)), before=first, at=AT + 60, generation=4)
    other = status(fleet(*BROKER_DOWN, **UNREADABLE), before=same, at=AT + 120)

    ready = [of(body, "Ready")["lastTransitionTime"] for body in (first, same, other)]
    assert ready == ["2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z", "2023-11-14T22:15:20Z"]
    assert of(same, "Ready")["message"] == "all 4 workers needed consume"
    assert of(other, "WorkersReport")["lastTransitionTime"] == "2023-11-14T22:13:20Z"


def test_small_changes_of_volatile_numbers_change_nothing() -> None:
    seen = fleet()
    little = replace(
        seen, waiting=1_120, oldest_wait_s=35.3, arrival_rate_per_s=2.09, mean_run_time_s=2.08
    )

    assert status(seen) == status(little, at=AT + 2, before=status(seen))


def scaled(before: int, to: int, at: float) -> FleetStatus:
    return fleet(at=at, workers=workers(to, asked_before=before))


def test_a_change_of_the_number_of_workers_is_kept_with_its_chain() -> None:
    body = status(scaled(3, 12, AT), at=AT)

    assert body["changes"] == [
        {
            "time": "2023-11-14T22:13:20Z",
            "from": 3,
            "to": 12,
            "reason": "MeetingTarget",
            "message": "3 workers: 1 140 waiting tasks.",
            "steps": [
                {"name": "demand", "message": "1 140 wait."},
                {"name": "limits", "replicas": 3, "message": "Between 0 and 40."},
            ],
        }
    ]
    assert body["lastScaleTime"] == "2023-11-14T22:13:20Z"


def test_the_last_changes_are_kept_newest_first_and_outlive_an_operator() -> None:
    body: dict[str, Any] = {}
    for n in range(8):
        body = status(scaled(n, n + 1, AT + n), at=AT + n, before=body)

    assert [one["to"] for one in body["changes"]] == [8, 7, 6, 5, 4][:CHANGES]
    later = status(fleet(), before=body)
    assert (later["changes"], later["lastScaleTime"]) == (body["changes"], body["lastScaleTime"])
    assert status(None, before=body, problem=NO_CLASS)["changes"] == body["changes"]


def test_a_change_that_cannot_be_carried_out_is_one_change_however_often_it_is_tried() -> None:
    once = status(scaled(3, 12, AT))
    again = status(scaled(3, 12, AT + 2), at=AT + 2, before=once)

    assert again["changes"] == once["changes"]


def test_a_change_that_was_undone_by_hand_and_made_again_is_two() -> None:
    once = status(scaled(3, 12, AT))
    by_hand = status(fleet(workers=workers(3)), before=once)
    again = status(scaled(3, 12, AT + 60), before=by_hand)

    assert len(again["changes"]) == 2


def test_endless_sentences_are_cut() -> None:
    body = status(None, problem=replace(NO_CLASS, sentence="x" * 5_000))

    assert len(body["message"]) == len(of(body, "Ready")["message"]) == 1_024


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, 0), (7, 7), (99, 99), (104, 100), (105, 110), (1_149, 1_100), (99_600, 100_000)],
)
def test_a_count_is_exact_below_a_hundred(value: int, shown: int) -> None:
    assert shown_count(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0s"), (0.000_04, "1ms"), (0.0321, "32ms"), (0.354, "350ms"), (0.9996, "1s"),
        (2.14, "2s100ms"), (9.97, "10s"), (35.4, "35s"), (59.8, "1m"), (125.0, "2m6s"),
        (3_599.0, "1h"), (3_725.0, "1h"), (90_000.0, "25h"),
    ],
)  # fmt: skip
def test_a_duration_has_two_digits_of_its_largest_unit(value: float, shown: str) -> None:
    assert shown_duration(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (0.000_9, "0"), (0.0012, "0.001"), (0.0149, "0.01"), (0.096, "0.1"),
        (0.354, "0.35"), (2.13, "2.1"), (9.97, "10"), (143.0, "140"), (12_345.0, "12000"),
    ],
)  # fmt: skip
def test_a_rate_is_a_plain_number_that_comes_to_rest(value: float, shown: str) -> None:
    assert shown_rate(value) == shown
