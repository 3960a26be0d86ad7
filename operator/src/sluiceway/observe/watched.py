"""What observing is told: the fleets to watch, and the workers that exist."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.address import AddressError, BrokerAddress, parse_address, with_master_name
from sluiceway.broker.reading import BrokerQueue


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningWorker:
    """A pod or a process of a fleet, as the cluster or the machine knows it."""

    name: str
    """Pod name or local process name: the ``name`` of its heartbeat."""
    created_at: float
    """Unix seconds."""
    ready: bool | None = None
    """Whether it is ready; None where nobody can tell (a process without a probe)."""
    stopping: bool = False
    """Told to go (SIGTERM); it will not come back."""
    start_counts: bool = True
    """Whether its start tells how long starts take: not after a restart or in trouble."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """A TaskQueue, and the broker that its URL resolves to."""

    taskqueue: TaskQueue
    address: BrokerAddress | None
    problem: str | None = None
    """Why there is no address, as a sentence."""
    key: str = field(init=False)
    """``namespace/name``."""
    broker_queues: tuple[BrokerQueue, ...] = field(init=False, repr=False)
    """Its queues, by the keys that they have in the broker."""

    def __post_init__(self) -> None:
        broker = self.taskqueue.spec.broker
        queues = tuple(
            BrokerQueue(
                name=queue,
                prefix=broker.key_prefix,
                steps=broker.priority_steps,
                separator=broker.separator,
            )
            for queue in self.taskqueue.queues
        )
        object.__setattr__(self, "broker_queues", queues)
        object.__setattr__(self, "key", self.taskqueue.key)

    @classmethod
    def of(cls, taskqueue: TaskQueue, url: str) -> Self:
        """Pair a TaskQueue with its resolved URL; an unusable one is kept as its problem."""
        try:
            named = with_master_name(url, taskqueue.spec.broker.master_name)
            return cls(taskqueue=taskqueue, address=parse_address(named))
        except AddressError as exc:
            return cls(taskqueue=taskqueue, address=None, problem=str(exc))

    @property
    def prefix(self) -> str:
        """The application's ``global_keyprefix``."""
        return self.taskqueue.spec.broker.key_prefix

    @property
    def reports(self) -> bool:
        """Whether heartbeats are expected of its workers.

        Sluiceway does not own the pods of a ``deploymentRef``: there only an agent
        in the image itself can speak.
        """
        worker = self.taskqueue.spec.worker
        if worker.deployment_ref is not None:
            return worker.agent == "image"
        return worker.agent != "none"
