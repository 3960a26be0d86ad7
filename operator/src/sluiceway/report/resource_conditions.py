"""The conditions of a TaskQueue in a cluster, as GitOps tools and people read them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluiceway.decide.decision import Reason
from sluiceway.report.conditions import Condition, Verdict
from sluiceway.report.status import DEMAND_KNOWN, READY, WAKING, FleetStatus

RECONCILING = "Reconciling"
"""There only while true: something is under way that needs nobody."""

STALLED = "Stalled"
"""There only while true: nothing goes on until a person changes something."""

SCALING_ACTIVE = "ScalingActive"
"""True: the number of workers follows demand. False: it is held, and the reason says why."""

BROKER_REACHABLE = "BrokerReachable"
"""True: the broker answers."""

BROKER_MISMATCH = "BrokerMismatch"
"""There only while true: the workers use another broker than the one that is read."""

BROKER_MAY_LOSE_TASKS = "BrokerMayLoseTasks"
"""There only while true: the broker's own settings let waiting tasks vanish."""

TIMEOUT_TOO_SHORT = "VisibilityTimeoutTooShort"
"""There only while true: what is held may be given away while it is still at work."""

WORKERS_REPORT = "WorkersReport"
"""True: the workers say what they run. False: only what the broker shows is known."""

FAILING_FOR_S = 120.0
"""Workers that do not start for so long need a person. Before, a node may be on its way,
or a registry may be slow."""

AGENT_MISSING = "AgentMissing"
NOT_LOOKED_AT = "NotLookedAtYet"


@dataclass(frozen=True, kw_only=True, slots=True)
class SetupProblem:
    """Why a TaskQueue cannot be served as it is written. Its fleet stays as it is."""

    reason: str
    """For programs, such as ``WorkerClassNotFound``."""
    sentence: str
    """For people; it names the field and the mend."""
    person_must_act: bool = True
    """False where it may pass by itself, such as an API server that does not answer."""


def conditions_of(
    *,
    at: float,
    problem: SetupProblem | None,
    fleet: FleetStatus | None,
    broker_warnings: Sequence[str],
) -> tuple[Condition, ...]:
    """What holds and what does not.

    Args:
        at: now, Unix seconds; the ``since`` of all of them, for whoever keeps times.
        problem, fleet, broker_warnings: as in ``resource.Seen``.
    """
    ready, under_way = _ready(at, problem, fleet)
    found = [ready]
    if under_way:
        found.append(_as(RECONCILING, Verdict.TRUE, ready))
    if problem is not None and problem.person_must_act:
        found.append(_as(STALLED, Verdict.TRUE, ready))
    found.append(_scaling_active(at, problem, fleet))
    if fleet is not None:
        found += _broker(at, fleet)
        found.append(_workers(at, fleet))
    if broker_warnings:
        found.append(
            Condition(
                type=BROKER_MAY_LOSE_TASKS,
                status=Verdict.TRUE,
                reason="UnsafeSettings",
                message="; ".join(broker_warnings),
                since=at,
            )
        )
    if fleet is not None and fleet.timeout_warnings:
        found.append(
            Condition(
                type=TIMEOUT_TOO_SHORT,
                status=Verdict.TRUE,
                reason="MayRunTwice",
                message="; ".join(fleet.timeout_warnings),
                since=at,
            )
        )
    return tuple(found)


def _ready(
    at: float, problem: SetupProblem | None, fleet: FleetStatus | None
) -> tuple[Condition, bool]:
    """Ready, and whether something is under way that needs nobody."""

    def ready(status: Verdict, reason: str, message: str) -> Condition:
        return Condition(type=READY, status=status, reason=reason, message=message, since=at)

    if problem is not None:
        verdict = Verdict.FALSE if problem.person_must_act else Verdict.UNKNOWN
        return ready(verdict, problem.reason, problem.sentence), not problem.person_must_act
    if fleet is None:
        # Never False at birth: a sync would take that for a failure, for good.
        return ready(Verdict.UNKNOWN, NOT_LOOKED_AT, "seen, and not looked at yet"), True
    seen = fleet.condition(READY)
    match seen.status:
        case Verdict.TRUE:
            # Not the decision's sentence: it changes with every number in it.
            message = _all_there(fleet.workers.desired)
            return ready(Verdict.TRUE, "WorkersReady", message), False
        case Verdict.FALSE:
            lasts = at - seen.since >= FAILING_FOR_S
            verdict = Verdict.FALSE if lasts else Verdict.UNKNOWN
            return ready(verdict, seen.reason, seen.message), not lasts
        case Verdict.UNKNOWN:
            known = fleet.condition(DEMAND_KNOWN)
            if known.status is not Verdict.TRUE:
                return ready(Verdict.UNKNOWN, known.reason, known.message), False
            return ready(Verdict.UNKNOWN, seen.reason, seen.message), True


def _all_there(desired: int) -> str:
    if desired == 0:
        return "no worker is needed"
    one = desired == 1
    return "the one worker needed consumes" if one else f"all {desired} workers needed consume"


def _scaling_active(
    at: float, problem: SetupProblem | None, fleet: FleetStatus | None
) -> Condition:
    def active(status: Verdict, reason: str, message: str) -> Condition:
        return Condition(
            type=SCALING_ACTIVE, status=status, reason=reason, message=message, since=at
        )

    if problem is not None and (problem.person_must_act or fleet is None):
        return active(Verdict.FALSE, problem.reason, problem.sentence)
    if fleet is None:
        return active(Verdict.UNKNOWN, NOT_LOOKED_AT, "seen, and not looked at yet")
    known = fleet.condition(DEMAND_KNOWN)
    if fleet.reason is Reason.PAUSED:
        return active(Verdict.FALSE, Reason.PAUSED.value, "spec.scaling.paused holds the fleet")
    if known.status is not Verdict.TRUE:
        reason = Reason.FALLBACK.value if fleet.reason is Reason.FALLBACK else known.reason
        return active(Verdict.FALSE, reason, known.message)
    return active(Verdict.TRUE, "FollowsDemand", "the number of workers follows demand")


def _broker(at: float, fleet: FleetStatus) -> Iterator[Condition]:
    known = fleet.condition(DEMAND_KNOWN)
    reachable = known.reason != Reason.BROKER_UNKNOWN.value
    yield Condition(
        type=BROKER_REACHABLE,
        status=Verdict.TRUE if reachable else Verdict.FALSE,
        reason="Answers" if reachable else known.reason,
        message="the broker answers" if reachable else known.message,
        since=at,
    )
    if known.reason == Reason.BROKER_MISMATCH.value:
        yield _as(BROKER_MISMATCH, Verdict.TRUE, known, since=at)
    yield _as(WAKING, fleet.condition(WAKING).status, fleet.condition(WAKING), since=at)


def _workers(at: float, fleet: FleetStatus) -> Condition:
    status, reason = Verdict.TRUE, "AgentExpected"
    message = "the workers have the agent, which says what runs and lets them go without loss"
    if fleet.agent_problem is not None:
        status, reason, message = Verdict.FALSE, AGENT_MISSING, fleet.agent_problem
    elif not fleet.workers_report:
        status, reason = Verdict.FALSE, "NoAgent"
        message = (
            "the workers have no agent: run times, cold starts and which of them is free are not "
            "known, and what runs only as far as the broker shows it; Kubernetes chooses who is "
            "removed, and as many stay as may be running something"
        )
    return Condition(type=WORKERS_REPORT, status=status, reason=reason, message=message, since=at)


def _as(type_: str, status: Verdict, of: Condition, *, since: float | None = None) -> Condition:
    """The same reason and sentence under another name."""
    return Condition(
        type=type_,
        status=status,
        reason=of.reason,
        message=of.message,
        since=of.since if since is None else since,
    )
