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
ShortSentence = Annotated[str, StringConstraints(max_length=1024)]
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


class ChangeStep(Model):
    """One step of the chain that led to a number of workers."""

    name: Name = Field(description="What was looked at, such as demand, behavior or limits.")
    replicas: Replicas | None = Field(
        default=None, description="The number after this step; absent while none can be told."
    )
    message: ShortSentence = Field(description="What this step did, as a sentence.")


class Change(Model):
    """One decision that changed the number of workers, and how it came about."""

    time: Time = Field(description="When it was decided.")
    from_: Replicas = Field(alias="from", description="The workers asked for before it.")
    to: Replicas = Field(description="The workers asked for since.")
    reason: Name = Field(description="Why, as one word for programs.")
    message: ShortSentence = Field(description="Why, as a sentence.")
    steps: tuple[ChangeStep, ...] = Field(
        default=(),
        max_length=16,
        description="The chain from what was asked of the fleet to the number.",
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
    acks: Literal["late", "early", "app"] | None = Field(
        default=None,
        description=(
            "The worker.acks in force, and what it makes of a task whose worker is ended by force. "
            "late: it runs again; early: it is lost; app: as the application says for each task."
        ),
    )
    waiting: Count | None = Field(
        default=None,
        description=(
            "Queue length: waiting messages, summed over queues and priorities. As all counts of "
            "tasks, exact below 100 and two digits above."
        ),
    )
    in_flight: Count | None = Field(
        default=None, description="Messages that workers have taken: reserved and running."
    )
    scheduled: Count | None = Field(
        default=None, description="Messages with an ETA in the future; not in waiting."
    )
    oldest_task_age: ShownDuration | None = Field(
        default=None,
        description=(
            "How long the oldest waiting task has waited, such as 35s; with ≥ in front where "
            "tasks carry no stamp and only a lower bound is known."
        ),
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
    replicas: Replicas | None = Field(
        default=None,
        description="Workers asked for now; above desiredReplicas while some of them drain.",
    )
    running_replicas: Replicas | None = Field(
        default=None, description="Workers that exist, whatever they do."
    )
    ready_replicas: Replicas | None = Field(
        default=None, description="Workers that consume; only these count as capacity."
    )
    starting_replicas: Replicas | None = Field(
        default=None, description="Workers that exist and have not been heard yet."
    )
    draining_replicas: Replicas | None = Field(
        default=None, description="Workers that finish what they run and take nothing new."
    )
    silent_replicas: Replicas | None = Field(
        default=None, description="Workers that were heard once and are not heard any more."
    )
    reason: Name | None = Field(
        default=None,
        description=(
            "Why desiredReplicas is what it is, or why nothing is decided, as one word for "
            "programs."
        ),
    )
    message: Sentence | None = Field(
        default=None,
        description=(
            "Why desiredReplicas is what it is, or why nothing is decided, as a sentence."
        ),
    )
    last_scale_time: Time | None = Field(
        default=None, description="When the number of workers asked for last changed."
    )
    changes: tuple[Change, ...] = Field(
        default=(),
        max_length=5,
        description="The last decisions that changed the number of workers, newest first.",
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
