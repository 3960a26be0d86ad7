"""A TaskQueue's ``/status``, from what was seen and decided. Pure.

The conditions are those that kstatus (Flux, kubectl wait, cli-utils) and Argo CD read:
Ready is Unknown while something is under way and False only when a person must act;
Reconciling and Stalled are there only while they are true. A condition's time moves
only when its status does. What is not known is left out, never zero, and what moves
all the time is rounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.report.conditions import Verdict
from sluiceway.report.resource_conditions import SetupProblem, conditions_of
from sluiceway.report.rounding import shown_count, shown_duration, shown_rate
from sluiceway.report.status import READY, FleetStatus

__all__ = ["CHANGES", "Seen", "SetupProblem", "differ_in_numbers", "resource_status"]

CHANGES = 5
"""Changes kept in the status, each with its chain."""

_STEPS = 16
_SENTENCE = 1024
"""Characters, as the schema has it for each of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What is known of one TaskQueue at one moment."""

    at: float
    """Now, Unix seconds."""
    generation: int
    """The ``metadata.generation`` that everything here speaks of, ``fleet`` too."""
    taskqueue: TaskQueue | None = None
    """The object; None where what is written cannot be understood."""
    class_name: str | None = None
    """The WorkerClass in use; None where none is meant or none was found."""
    problem: SetupProblem | None = None
    """Why no fleet can be made of it as it is written."""
    fleet: FleetStatus | None = None
    """After the last tick; None before the first, and where there is no fleet to look at."""
    broker_warnings: Sequence[str] = ()
    """What the platform team should mend (``BrokerFacts.warnings``), as sentences."""


def resource_status(seen: Seen, before: Mapping[str, Any]) -> dict[str, Any]:
    """What ``/status`` should hold.

    Args:
        seen: what is known now.
        before: what this returned last for the same object; at first, what the object
            itself carries.

    Returns:
        The whole status as JSON has it. A member that is missing is to be removed.
    """
    if seen.problem is None and seen.fleet is None:
        return _not_looked_at_yet(seen, before)
    body: dict[str, Any] = {"observedGeneration": seen.generation}
    body |= _described(seen, before)
    if seen.fleet is not None:
        body |= _numbers(seen.fleet) | _workers(seen.fleet)
        body |= {"reason": seen.fleet.reason.value, "message": _short(seen.fleet.sentence)}
    if seen.problem is not None and (seen.fleet is None or seen.problem.person_must_act):
        body |= {"reason": seen.problem.reason, "message": _short(seen.problem.sentence)}
    return body | _past(seen, before) | {"conditions": _conditions(seen, before)}


def differ_in_numbers(before: FleetStatus, now: FleetStatus) -> bool:
    """Whether of two looks at a fleet nothing differs but what moves with each message:
    lengths, ages, known rates, and the sentences that tell them."""

    def telling(fleet: FleetStatus) -> tuple[Any, ...]:
        return (
            fleet.workers,
            fleet.reason,
            fleet.agent_problem,
            fleet.workers_report,
            fleet.timeout_warnings,
            fleet.arrival_rate_per_s is None,
            fleet.mean_run_time_s is None,
            *((one.type, one.status, one.reason) for one in fleet.conditions),
        )

    return (
        # What does not stay up is told otherwise when it has lasted.
        now.condition(READY).status is not Verdict.FALSE
        and now.workers.asked == now.workers.asked_before
        and telling(before) == telling(now)
    )


def _not_looked_at_yet(seen: Seen, before: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing new is known but that the object was seen: the numbers stay as they were told.

    Said early, so that nobody takes a new spec for one that is already in force.
    """
    if before.get("observedGeneration") == seen.generation:
        return dict(before)
    body = {"observedGeneration": seen.generation} | _described(seen, before)
    return {**before, **body, "conditions": _conditions(seen, before)}


def _described(seen: Seen, before: Mapping[str, Any]) -> dict[str, Any]:
    """What is known without looking at the fleet."""
    body: dict[str, Any] = {}
    if seen.taskqueue is not None:
        body["queueNames"] = ",".join(seen.taskqueue.queues)
        body["acks"] = seen.taskqueue.spec.worker.acks_in_force
    else:
        body |= {name: before[name] for name in ("queueNames", "acks") if name in before}
    if seen.class_name is not None:
        body["className"] = seen.class_name
    return body


def _numbers(fleet: FleetStatus) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if fleet.waiting is not None:
        body["waiting"] = shown_count(fleet.waiting)
    if fleet.in_flight is not None:
        body["inFlight"] = shown_count(fleet.in_flight)
        body["scheduled"] = shown_count(fleet.scheduled)  # said in the same heartbeats
    if fleet.oldest_wait_s is not None:
        exact = all(q.oldest_wait_is_exact for q in fleet.queues if q.oldest_wait_s is not None)
        body["oldestTaskAge"] = ("" if exact else "≥") + shown_duration(fleet.oldest_wait_s)
    if fleet.arrival_rate_per_s is not None:
        body["arrivalRate"] = shown_rate(fleet.arrival_rate_per_s)
    if fleet.mean_run_time_s is not None:
        body["meanRunTime"] = shown_duration(fleet.mean_run_time_s)
    return body


def _workers(fleet: FleetStatus) -> dict[str, Any]:
    workers = fleet.workers
    return {
        "desiredReplicas": workers.desired,
        "replicas": workers.asked,
        "runningReplicas": workers.exist,
        "readyReplicas": workers.ready,
        "startingReplicas": workers.starting,
        "drainingReplicas": workers.draining,
        "silentReplicas": workers.silent,
    }


def _past(seen: Seen, before: Mapping[str, Any]) -> dict[str, Any]:
    """The last changes, and when the last of them was."""
    past = {name: before[name] for name in ("lastScaleTime", "changes") if name in before}
    if seen.fleet is None or not _changed(seen.fleet, before):
        return past
    change = _change(seen.fleet)
    return {
        "lastScaleTime": change["time"],
        "changes": [change, *before.get("changes", ())][:CHANGES],
    }


def _changed(fleet: FleetStatus, before: Mapping[str, Any]) -> bool:
    workers = fleet.workers
    if workers.asked == workers.asked_before:
        return False
    # A change that could not be carried out is decided on anew at every tick.
    newest: Mapping[str, Any] = next(iter(before.get("changes", ())), {})
    again = (newest.get("from"), newest.get("to")) == (workers.asked_before, workers.asked)
    return not (again and before.get("replicas") == workers.asked)


def _change(fleet: FleetStatus) -> dict[str, Any]:
    steps = []
    for step in fleet.steps[:_STEPS]:
        told: dict[str, Any] = {"name": step.name}
        if step.replicas is not None:
            told["replicas"] = step.replicas
        steps.append(told | {"message": _short(step.sentence)})
    return {
        "time": _time(fleet.at),
        "from": fleet.workers.asked_before,
        "to": fleet.workers.asked,
        "reason": fleet.reason.value,
        "message": _short(fleet.sentence),
        "steps": steps,
    }


def _conditions(seen: Seen, before: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = {one["type"]: one for one in before.get("conditions", ())}
    found = conditions_of(
        at=seen.at,
        problem=seen.problem,
        fleet=seen.fleet,
        broker_warnings=seen.broker_warnings,
    )
    told = []
    for one in found:
        was = known.get(one.type, {})
        same = was.get("status") == one.status.value
        since = (same and was.get("lastTransitionTime")) or _time(one.since)
        told.append(
            {
                "type": one.type,
                "status": one.status.value,
                "reason": one.reason,
                "message": _short(one.message),
                "lastTransitionTime": since,
                "observedGeneration": seen.generation,
            }
        )
    return told


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= _SENTENCE else sentence[: _SENTENCE - 1] + "…"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
