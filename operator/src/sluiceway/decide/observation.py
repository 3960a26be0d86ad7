"""What a decision is given: one frozen reading of a fleet's world.

``observe`` fills it, ``decide`` reads it. Unknown is never zero: whatever could
not be read is ``None``, with a sentence in ``problem`` that says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueView:
    """One Celery queue, summed over its priority keys."""

    name: str
    length: int | None = None
    """Waiting messages; None when unknown."""
    oldest_wait_s: float | None = None
    """How long the oldest waiting message has waited, from max(stamp, eta), never
    below 0; None when the queue is empty, holds only future work, or is unknown."""
    oldest_wait_is_exact: bool = True
    """False: no stamp, so the age is a lower bound from what was seen."""
    head_eta: float | None = None
    """The head's ETA where it lies in the future, Unix seconds: scheduled, not waiting.
    Over several priority keys, the earliest of them."""
    later_etas: tuple[float, ...] = ()
    """The ETAs of the messages for later that are known, rising, Unix seconds: those in
    front of each priority key's first message that waits, as far as was looked (50)."""
    parked: int = 0
    """Messages with a far ETA that were moved aside; they are not in ``length``."""
    parked_etas: tuple[float, ...] = ()
    """The first of their ETAs (50 of each priority key), rising, Unix seconds."""
    problem: str | None = None
    """Why it is unknown, as a sentence."""


class WorkerState(StrEnum):
    """Where a worker stands, from its heartbeat and its pod or process."""

    STARTING = "starting"  # exists, has not said anything yet
    CONSUMING = "consuming"
    DRAINING = "draining"
    DRAINED = "drained"
    STOPPING = "stopping"  # told to go (SIGTERM); will not come back
    SILENT = "silent"  # was heard, is not heard any more


@dataclass(frozen=True, kw_only=True, slots=True)
class RunTimes:
    """Cumulative run times of one task name: finished runs, seconds, seconds squared."""

    count: int = 0
    sum_s: float = 0.0
    sumsq_s2: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerView:
    """One worker: pod or process, with what its heartbeat says."""

    name: str
    """Pod name or local process name; unique in the fleet."""
    incarnation: str | None = None
    """None until it was heard."""
    state: WorkerState
    slots: int = 1
    active: int = 0
    reserved: int = 0
    scheduled: int = 0
    earliest_eta: float | None = None
    running_for_s: float | None = None
    """How long its oldest running task has been running."""
    processed: int = 0
    failed: int = 0
    tasks: Mapping[str, RunTimes] = field(default_factory=dict)
    waits: int = 0
    wait_sum_s: float = 0.0
    started_in_s: float | None = None
    """Its measured cold start: from the wish for it until it consumed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """Everything one decision about one fleet reads."""

    at: float
    """When it was read, Unix seconds."""
    queues: tuple[QueueView, ...]
    workers: tuple[WorkerView, ...] = ()
    replicas: int
    """How many workers are asked for at the moment (the Deployment's spec.replicas)."""
    broker_problem: str | None = None
    """Set when the broker could not be read at all: every number above is unknown."""
    mismatch: str | None = None
    """Set when workers report another broker, database or prefix than the one read."""
    agent_problem: str | None = None
    """Why workers run without the agent that they should have, as a sentence."""
    unacked: int | None = None
    """Messages taken and not acknowledged, over all queues of the database."""
    in_flight: int | None = None
    """Reserved + active of this fleet; None where no worker says and it cannot be known."""
    workers_report: bool = True
    """Whether this fleet's workers are expected to send heartbeats (agent present)."""
    missing: int = 0
    """Of ``replicas``, how many do not exist: not created yet, or waiting to be started
    again. They may go before any other, there is nothing to finish. 0 where not counted."""
    rolling_out: bool = False
    """More than one generation of workers exists: no scale-down now."""
    stuck: str | None = None
    """Why more workers would not work either, as a sentence: no scale-up now."""

    @property
    def known(self) -> bool:
        """Whether demand can be told from this reading."""
        return (
            self.broker_problem is None
            and self.mismatch is None
            and all(q.length is not None for q in self.queues)
        )
