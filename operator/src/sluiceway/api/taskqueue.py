"""The TaskQueue: one worker fleet, as its users write it.

The parts have modules of their own (broker, worker, scaling); all their names can be
imported from here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from sluiceway.api.broker import Broker, SecretKey, UrlFrom
from sluiceway.api.duration import (
    Duration,
    PositiveDuration,
    format_duration,
    parse_duration,
)
from sluiceway.api.model import Model
from sluiceway.api.scaling import (
    Behavior,
    Fallback,
    Paused,
    Scaling,
    ScalingPolicy,
    ScalingRules,
    Schedule,
    Target,
)
from sluiceway.api.worker import DeploymentRef, Like, Worker

__all__ = [
    "GROUP",
    "VERSION",
    "Behavior",
    "Broker",
    "DeploymentRef",
    "Duration",
    "Fallback",
    "Like",
    "Model",
    "ObjectMeta",
    "Paused",
    "PositiveDuration",
    "Scaling",
    "ScalingPolicy",
    "ScalingRules",
    "Schedule",
    "SecretKey",
    "Target",
    "TaskQueue",
    "TaskQueueSpec",
    "UrlFrom",
    "Worker",
    "format_duration",
    "parse_duration",
]

GROUP = "sluiceway.dev"
VERSION = "v1alpha1"

QueueName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class TaskQueueSpec(Model):
    """What the fleet serves, where, with what, and how many."""

    queues: tuple[QueueName, ...] = Field(
        default=(),
        max_length=32,
        description=(
            "The Celery queues that the fleet serves, as for `celery worker -Q`. Default: the "
            "queue with the object's own name."
        ),
        examples=[["exports"]],
    )
    broker: Broker = Field(
        default=Broker(),
        description="The Redis that carries the queues, as the application is configured for it.",
    )
    worker: Worker = Field(
        default=Worker(),
        description="What runs in the workers, and how long a task may run.",
        # Outside there is no default: a worker without an application is no worker.
        json_schema_extra={"default": None},
    )
    scaling: Scaling = Field(
        default=Scaling(), description="How many workers, to what end, and how fast that changes."
    )


class ObjectMeta(Model):
    """Only what we read; the API server owns the rest."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True
    )

    name: str
    namespace: str = "default"
    uid: str | None = None
    generation: int | None = None


class TaskQueue(Model):
    """One worker fleet: the queues it serves, how long a task may wait, what it runs on."""

    api_version: Literal["sluiceway.dev/v1alpha1"] = "sluiceway.dev/v1alpha1"
    kind: Literal["TaskQueue"] = "TaskQueue"
    metadata: ObjectMeta
    spec: TaskQueueSpec

    @property
    def key(self) -> str:
        """``namespace/name``, as logs and heartbeats name the fleet."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def queues(self) -> tuple[str, ...]:
        """The Celery queues it serves: the object's own name unless given."""
        return self.spec.queues or (self.metadata.name,)

    def to_outside(self) -> dict[str, Any]:
        """What a user would write for this, without what is left at its default."""
        return {"apiVersion": self.api_version, "kind": self.kind, **super().to_outside()}
