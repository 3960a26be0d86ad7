"""A TaskQueue's status, as the cluster shows it.

The operator writes it and nobody reads it back to decide: the schema is here, beside
the spec's, so that one place makes the whole CRD. A number that is not known is left
out; it is never written as zero.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from sluiceway.api.model import Model, Name

# Not 2**63 - 1: bounds in a CRD are floating-point numbers.
Count = Annotated[int, Field(ge=0, le=2**53, json_schema_extra={"format": "int64"})]
Replicas = Annotated[int, Field(ge=0, le=2**31 - 1)]
Sentence = Annotated[str, StringConstraints(max_length=32_768)]
ShownDuration = Annotated[str, StringConstraints(max_length=32)]
Time = Annotated[
    str, StringConstraints(max_length=64), Field(json_schema_extra={"format": "date-time"})
]


class Condition(Model):
    """Kubernetes' metav1.Condition."""

    type: Name = Field(description="What it is about, such as Ready.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1024)] = Field(
        description="Why, as one word for programs."
    )
    message: Sentence = Field(description="Why, as a sentence for people.")
    last_transition_time: Time = Field(description="When status last changed.")
    observed_generation: Count | None = Field(
        default=None, description="The metadata.generation that it speaks of."
    )


class TaskQueueStatus(Model):
    """What the operator sees and decided. Numbers that are not known are absent."""

    observed_generation: Count | None = Field(
        default=None, description="The metadata.generation that this status speaks of."
    )
    queue_names: Sentence | None = Field(
        default=None, description="The queues served, separated by commas."
    )
    class_name: Name | None = Field(
        default=None, description="The WorkerClass in use, named or the default one."
    )
    waiting: Count | None = Field(
        default=None,
        description="Queue length: waiting messages, summed over queues and priorities.",
    )
    in_flight: Count | None = Field(
        default=None, description="Messages that workers have taken: reserved and running."
    )
    scheduled: Count | None = Field(
        default=None, description="Messages with an ETA in the future; not in waiting."
    )
    oldest_task_age: ShownDuration | None = Field(
        default=None, description="How long the oldest waiting task has waited, such as 35s."
    )
    arrival_rate: ShownDuration | None = Field(
        default=None, description="Tasks that arrive per second, as a decimal number."
    )
    mean_run_time: ShownDuration | None = Field(
        default=None, description="How long a task runs on average, such as 2s100ms."
    )
    desired_replicas: Replicas | None = Field(
        default=None, description="The number of workers that the fleet should have."
    )
    ready_replicas: Replicas | None = Field(
        default=None, description="Workers that consume; only these count as capacity."
    )
    reason: Name | None = Field(
        default=None, description="Why desiredReplicas is what it is, as one word for programs."
    )
    message: Sentence | None = Field(
        default=None, description="Why desiredReplicas is what it is, as a sentence."
    )
    last_scale_time: Time | None = Field(
        default=None, description="When the number of workers asked for last changed."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Ready, Reconciling and Stalled as GitOps tools read them, and others.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
