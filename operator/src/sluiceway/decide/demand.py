"""What is asked of a fleet right now: counted from one observation, judged by nothing.

Backlog is queue length plus in-flight; messages for the future stand apart. What
could not be read is never counted as nothing: it makes the demand a lower bound
(``unknown`` says why), and the chain then lowers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sluiceway.decide.observation import Observation, QueueView, WorkerState

HEARD = frozenset(
    {WorkerState.CONSUMING, WorkerState.DRAINING, WorkerState.DRAINED, WorkerState.STOPPING}
)
"""States of a worker whose heartbeat is current."""

RECALLABLE = frozenset({WorkerState.CONSUMING, WorkerState.DRAINING, WorkerState.DRAINED})
"""States of a worker that consumes, or would at once if its lease were withdrawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """One reading in the terms of the recommendation: whole messages and seconds."""

    waiting: int
    """Messages that a worker could take now, or within one cold start."""
    due_soon: int
    """Those of them whose ETA is still to come."""
    in_flight: int | None
    """Reserved and active; None where nobody can tell."""
    in_flight_bound: int | None
    """The most that can be in flight; None where not even that can be told."""
    held: int
    """Tasks for the future, in workers' memory."""
    later: int
    """Messages for the future that lie in the queues, not waiting yet; those that are known."""
    parked: int = 0
    """Messages for the future that were moved aside, those apart that count as waiting."""
    next_parked: float | None = None
    """The earliest ETA of those, Unix seconds."""
    next_eta: float | None
    """The earliest ETA that is known of those three, Unix seconds."""
    oldest_wait_s: float
    """How long the oldest waiting message has waited; 0 when none waits or none says."""
    oldest_wait_is_exact: bool
    present: int
    """Workers that consume, or would at once when recalled."""
    present_slots: int
    running_for_s: tuple[float, ...]
    """How long the oldest task of each of them that runs one has been running."""
    silent: int
    """Workers that were heard once and are not any more: what they run is unknown."""
    unknown: str | None
    """Why this is a lower bound only, as a sentence; None: all of it is known."""

    @classmethod
    def of(cls, observation: Observation, now: float, cold_start_s: float) -> Demand:
        """Count ``observation``; ETAs within ``cold_start_s`` of ``now`` count as waiting."""
        readable = observation.broker_problem is None and observation.mismatch is None
        queues = observation.queues if readable else ()
        etas = [eta for q in queues for eta in _later(q, now + cold_start_s)]
        later = len(etas)
        due_soon = sum(len(_later(q, now)) for q in queues) - later
        parked_etas = [eta for q in queues for eta in q.parked_etas if eta > now + cold_start_s]
        parked_soon = [eta for q in queues for eta in q.parked_etas if eta <= now + cold_start_s]
        due_soon += sum(eta > now for eta in parked_soon)
        etas += parked_etas
        present = [w for w in observation.workers if w.state in RECALLABLE]
        etas += [w.earliest_eta for w in present if w.earliest_eta is not None]
        oldest = max(
            (q for q in queues if q.oldest_wait_s is not None),
            key=lambda q: q.oldest_wait_s or 0.0,
            default=None,
        )
        in_flight = _in_flight(observation) if readable else None
        unacked = observation.unacked if readable else None
        return cls(
            waiting=sum(q.length or 0 for q in queues) - later + len(parked_soon),
            due_soon=due_soon,
            in_flight=in_flight,
            in_flight_bound=unacked if in_flight is None else in_flight,
            held=sum(w.scheduled for w in present),
            later=later,
            parked=sum(q.parked for q in queues) - len(parked_soon),
            next_parked=min(parked_etas, default=None),
            next_eta=min(etas, default=None),
            oldest_wait_s=0.0 if oldest is None else oldest.oldest_wait_s or 0.0,
            oldest_wait_is_exact=oldest is None or oldest.oldest_wait_is_exact,
            present=len(present),
            present_slots=sum(max(1, w.slots) for w in present),
            running_for_s=tuple(
                sorted(w.running_for_s for w in present if w.active and w.running_for_s is not None)
            ),
            silent=sum(w.state is WorkerState.SILENT for w in observation.workers),
            unknown=_unknown(observation),
        )

    @property
    def backlog(self) -> int:
        """Waiting and in flight, as far as known."""
        return self.waiting + (self.in_flight or 0)

    @property
    def idle(self) -> bool:
        """Known for certain: nothing waits, runs, or is held for later."""
        return (
            self.unknown is None
            and self.waiting == 0
            and self.in_flight_bound == 0
            and self.held == 0
            and self.silent == 0
        )


def _later(queue: QueueView, after: float) -> list[float]:
    """The ETAs beyond ``after`` of messages that lie in the queue; those that are known."""
    known = queue.later_etas or (() if queue.head_eta is None else (queue.head_eta,))
    return [eta for eta in known if eta > after][: queue.length or 0]


def _in_flight(observation: Observation) -> int | None:
    if observation.in_flight is not None:
        return observation.in_flight
    if observation.workers_report:
        # A worker that has not said anything yet has not taken anything either; one
        # that fell silent is counted in ``silent``.
        return sum(w.active + w.reserved for w in observation.workers if w.state in HEARD)
    return 0 if observation.replicas == 0 and not observation.workers else None


def _unknown(observation: Observation) -> str | None:
    if observation.broker_problem is not None:
        return f"the broker cannot be read ({_clause(observation.broker_problem)})"
    if observation.mismatch is not None:
        return f"the workers use another broker ({_clause(observation.mismatch)})"
    unread = [q for q in observation.queues if q.length is None]
    if not unread:
        return None
    first = f"queue {unread[0].name} cannot be read ({_clause(unread[0].problem or 'no answer')})"
    more = len(unread) - 1
    return first if not more else f"{first}, nor {more} more"


def _clause(sentence: str) -> str:
    """A sentence to be put in brackets: without its full stop."""
    return sentence.strip().rstrip(".")
