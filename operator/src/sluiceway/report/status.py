"""What can be said of a fleet after a tick, for people and for programs.

One ``FleetStatus`` is made from the decision and the observation it was made on.
The terminal's live view, ``sluiceway explain`` and a TaskQueue's status all show
the same one, so they cannot contradict each other. Unknown stays unknown here:
a number that was not read is None, and the conditions say why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from sluiceway.decide.decision import Decision, Reason, Step
from sluiceway.decide.observation import Observation, QueueView, WorkerState
from sluiceway.report.conditions import Condition, Verdict
from sluiceway.report.work import NO_WORK, FleetWork


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """How many workers are where."""

    asked: int
    """Asked for now (a Deployment's replicas)."""
    asked_before: int
    """Asked for when this tick began; another number where its decision changed it."""
    desired: int
    """What the fleet should have; below ``asked`` while workers drain."""
    ready: int
    """Consuming: only these are capacity."""
    starting: int
    draining: int
    """Draining, drained, or told to go."""
    silent: int
    """Heard once, not heard any more."""
    asked_to_drain: int
    """Holding a drain lease, those apart that may go now."""
    recommended: int | None = None
    """What demand asks for, before limits; None while it is unknown."""

    @property
    def exist(self) -> int:
        """All of them, whatever they do."""
        return self.ready + self.starting + self.draining + self.silent


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetStatus:
    """A fleet after one tick."""

    fleet: str
    """``namespace/name``."""
    at: float
    """When its queues and workers were read, Unix seconds."""
    queues: tuple[QueueView, ...]
    waiting: int | None
    """Queue length summed over the fleet's queues; None when one of them is unknown."""
    oldest_wait_s: float | None
    """The longest wait among its queues; None when nothing waits or it is unknown."""
    in_flight: int | None
    scheduled: int
    """Messages with a future ETA that its workers hold, or that are parked."""
    arrival_rate_per_s: float | None
    """Tasks that arrive per second; None while that cannot be told."""
    mean_run_time_s: float | None
    """How long a task runs on average; None before the first run was seen."""
    workers_report: bool
    """Whether its workers send heartbeats, or are expected to."""
    agent_problem: str | None = None
    """Why some of them do not, though they should, as a sentence."""
    workers: Workers
    reason: Reason
    sentence: str
    steps: tuple[Step, ...]
    """The chain from demand to the number."""
    conditions: tuple[Condition, ...]
    drain: tuple[str, ...] = ()
    """The incarnations that hold a drain lease now."""
    # Many numbers, for the metrics alone: no story of the past repeats them.
    work: Annotated[FleetWork, Field(exclude=True)] = NO_WORK
    """What its workers did and do."""
    target_wait_s: float | None = None
    """How long a task may wait; None where the target is another."""
    longest_task_s: float | None = None
    """The longest that one task may run; None where nobody said."""
    timeout_warnings: tuple[str, ...] = ()
    """What is wrong with visibility timeouts (``visibility.Timeouts``), as sentences."""

    @property
    def parked(self) -> int:
        """Messages with a far ETA that were moved aside until then; in ``scheduled``, too."""
        return sum(queue.parked for queue in self.queues)

    @property
    def overdue_s(self) -> float:
        """How long ago the first parked message came due; 0 while none has."""
        etas = [eta for queue in self.queues for eta in queue.parked_etas]
        return max(0.0, self.at - min(etas, default=self.at))

    def condition(self, type_: str) -> Condition:
        """The condition of this type; every status has all of them."""
        return next(c for c in self.conditions if c.type == type_)


READY = "Ready"
"""True: it has the workers it should have. Unknown: they are starting, or it cannot be
told. False: a person must act."""

WORKERS_FAILING = "WorkersFailing"
"""The reason of a Ready that is False: workers do not stay up."""

DEMAND_KNOWN = "DemandKnown"
"""True: the numbers that its decisions rest on were read."""

WAKING = "Waking"
"""True: an idle queue's first message starts the fleet at once, not at the next poll."""


def status_of(
    fleet: str,
    observation: Observation,
    decision: Decision,
    *,
    asked: int,
    not_waking: str | None = None,
    trouble: str | None = None,
    before: FleetStatus | None = None,
    work: FleetWork = NO_WORK,
    target_wait_s: float | None = None,
    longest_task_s: float | None = None,
    timeout_warnings: tuple[str, ...] = (),
) -> FleetStatus:
    """The status after this decision.

    Args:
        fleet: ``namespace/name``.
        asked: how many workers are asked for now that the decision was carried out, as far
            as it could be.
        not_waking: why the broker cannot say at once that a queue changed; None
            where it can.
        trouble: why workers do not stay up, in the words of what runs them.
        before: the last status; a condition whose verdict stays keeps its time.
        work, target_wait_s, longest_task_s, timeout_warnings: as in ``FleetStatus``.
    """
    workers = _workers(observation, decision, asked)
    waits = [q.oldest_wait_s for q in observation.queues if q.oldest_wait_s is not None]
    conditions = (
        _ready(observation, decision, workers, trouble),
        _demand_known(observation),
        _waking(not_waking, observation.at),
    )
    known_since = {c.type: c for c in before.conditions} if before is not None else {}
    return FleetStatus(
        fleet=fleet,
        at=observation.at,
        queues=observation.queues,
        waiting=(sum(q.length or 0 for q in observation.queues) if observation.known else None),
        oldest_wait_s=max(waits, default=None),
        in_flight=observation.in_flight,
        scheduled=sum(w.scheduled for w in observation.workers)
        + sum(q.parked for q in observation.queues),
        arrival_rate_per_s=_arrival_rate(observation, decision, before),
        mean_run_time_s=decision.history.learned.all_runs.mean_s,
        workers_report=observation.workers_report,
        agent_problem=observation.agent_problem,
        workers=workers,
        reason=decision.reason,
        sentence=decision.sentence,
        steps=decision.steps,
        conditions=tuple(c.keeping_time_of(known_since.get(c.type)) for c in conditions),
        drain=decision.drain,
        work=work,
        target_wait_s=target_wait_s,
        longest_task_s=longest_task_s,
        timeout_warnings=timeout_warnings,
    )


def _workers(observation: Observation, decision: Decision, asked: int) -> Workers:
    states = [w.state for w in observation.workers]
    leaving = (WorkerState.DRAINING, WorkerState.DRAINED, WorkerState.STOPPING)
    return Workers(
        asked=asked,
        asked_before=decision.current,
        desired=decision.desired,
        ready=states.count(WorkerState.CONSUMING),
        starting=states.count(WorkerState.STARTING),
        draining=sum(states.count(state) for state in leaving),
        silent=states.count(WorkerState.SILENT),
        asked_to_drain=sum(
            w.incarnation in decision.drain and w.name not in decision.remove
            for w in observation.workers
        ),
        recommended=decision.recommendation,
    )


def _arrival_rate(
    observation: Observation, decision: Decision, before: FleetStatus | None
) -> float | None:
    """Arrivals are told from two readings in a row: before the second nothing is known."""
    rate = decision.history.learned.rate_per_s
    if rate is None or not observation.known or observation.in_flight is None:
        return None
    if before is None or before.waiting is None or before.in_flight is None:
        return None
    return max(0.0, rate)


def _ready(
    observation: Observation, decision: Decision, workers: Workers, trouble: str | None
) -> Condition:
    if not observation.known:
        verdict, reason, message = Verdict.UNKNOWN, decision.reason.value, decision.sentence
    elif workers.ready >= decision.desired:
        verdict, reason, message = Verdict.TRUE, decision.reason.value, decision.sentence
    elif trouble is not None:
        verdict, reason, message = Verdict.FALSE, WORKERS_FAILING, trouble
    else:
        missing = decision.desired - workers.ready
        # GitOps tools read False as «a person must act»; a start is none of that.
        verdict, reason = Verdict.UNKNOWN, "WorkersStarting"
        message = f"{missing} of {decision.desired} workers do not consume yet"
    return Condition(
        type=READY, status=verdict, reason=reason, message=message, since=observation.at
    )


def _demand_known(observation: Observation) -> Condition:
    verdict = Verdict.FALSE
    if observation.broker_problem is not None:
        reason, message = Reason.BROKER_UNKNOWN.value, observation.broker_problem
    elif observation.mismatch is not None:
        reason, message = Reason.BROKER_MISMATCH.value, observation.mismatch
    elif problems := [q for q in observation.queues if q.length is None]:
        reason = "QueueUnknown"
        message = "; ".join(f"queue {q.name}: {q.problem}" for q in problems)
    else:
        verdict, reason, message = Verdict.TRUE, "Read", "all its queues were read"
    return Condition(
        type=DEMAND_KNOWN, status=verdict, reason=reason, message=message, since=observation.at
    )


def _waking(not_waking: str | None, at: float) -> Condition:
    if not_waking is None:
        verdict, reason = Verdict.TRUE, "Armed"
        message = "the broker says at once when a watched queue changes"
    else:
        verdict, reason, message = Verdict.FALSE, "Polling", f"polling, because {not_waking}"
    return Condition(type=WAKING, status=verdict, reason=reason, message=message, since=at)
