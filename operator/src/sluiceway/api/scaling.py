"""How many workers a fleet may have, what it aims at, and how fast it may change.

Field names of the HPA and of KEDA are used with their meaning only.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, WithJsonSchema

from sluiceway.api.duration import Duration, PositiveDuration
from sluiceway.api.model import Model, Text
from sluiceway.api.quantity import Quantity

MOST_REPLICAS = 10_000
"""No fleet is larger; it bounds what a slip of the finger can ask for."""


class Target(Model):
    """What the fleet aims at: exactly one of the two."""

    max_wait: PositiveDuration | None = Field(
        default=None,
        description=(
            "How long a task may wait before it starts. The number of workers follows from "
            "what arrives, what waits and how long tasks run, all measured. Default: 30s, "
            "where no target is given."
        ),
        examples=["30s"],
    )
    backlog_per_replica: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description=(
            "How many tasks (waiting and in flight) one worker is to have. Simple and "
            "proportional, like KEDA's listLength; it does not know how long tasks run."
        ),
        examples=[10],
    )


class Schedule(Model):
    """A time at which the fleet is kept at a floor."""

    cron: Text = Field(
        description=(
            "When the floor begins, as a cron expression of five fields: minute, hour, day of "
            "the month, month, day of the week."
        ),
        examples=["0 2 * * *"],
    )
    timezone: Text = Field(
        default="UTC",
        description=(
            "The time zone of cron, by its name in the IANA database; summer time is followed."
        ),
        examples=["Europe/Paris"],
    )
    duration: PositiveDuration = Field(
        description="How long the floor holds, from when it begins.", examples=["2h"]
    )
    min_replicas: int = Field(
        ge=0,
        le=MOST_REPLICAS,
        description=(
            "At least so many workers for that time. Where it is above maxReplicas, "
            "maxReplicas holds."
        ),
        examples=[5],
    )


class ScalingPolicy(Model):
    """One limit on how much may change within a period; the HPA's HPAScalingPolicy."""

    type: Literal["Pods", "Percent"] = Field(
        description="Whether value is a number of workers or a share of the present number."
    )
    value: int = Field(
        ge=1,
        le=1_000_000,
        description="How much may change within periodSeconds: workers, or percent.",
        examples=[4],
    )
    period_seconds: int = Field(
        ge=1,
        le=1800,
        description="The period that the limit counts over, in seconds (1 to 1800).",
        examples=[15],
    )


class ScalingRules(Model):
    """The HPA's HPAScalingRules: a member left out takes the HPA's default."""

    stabilization_window_seconds: int | None = Field(
        default=None,
        ge=0,
        le=3600,
        description=(
            "For how many seconds back recommendations are considered, so that the number does "
            "not flap: the highest counts on the way down, the lowest on the way up. Default "
            "in a given block, as in the HPA: 300 down, 0 up."
        ),
        examples=[60],
    )
    select_policy: Literal["Max", "Min", "Disabled"] = Field(
        default="Max",
        description=(
            "Which of several policies decides: the one that allows most (Max) or least (Min). "
            "Disabled: no change in this direction."
        ),
    )
    policies: tuple[ScalingPolicy, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        description=(
            "Limits on the pace. Default in a given block, as in the HPA: up by 4 workers or "
            "100 percent in 15 seconds, whichever is more; down by 100 percent in 15 seconds."
        ),
    )
    tolerance: Quantity | None = Field(
        default=None,
        description=(
            "How far, as a share, the recommendation may lie from the present number before "
            "anything changes. Default in a given block, as in the HPA: 0.1."
        ),
        examples=["0.05"],
    )


class Behavior(Model):
    """The HPA's HorizontalPodAutoscalerBehavior; an absent block takes our default."""

    scale_up: ScalingRules | None = Field(
        default=None,
        description=(
            "Pace on the way up. Default, where the block is absent: at once and without limit, "
            "where something would start too late otherwise."
        ),
    )
    scale_down: ScalingRules | None = Field(
        default=None,
        description=(
            "Pace on the way down. Default, where the block is absent: for maxWait, as soon as "
            "fewer do, small changes no more often than every 15 seconds; for "
            "backlogPerReplica, as far as the highest recommendation of the last 60 seconds. "
            "Workers that run a task finish it in any case. The last step, to zero, waits for "
            "cooldownPeriod."
        ),
    )


class Fallback(Model):
    """What the fleet is held at while the broker cannot be read; KEDA's fields."""

    failure_threshold: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="After how many failed readings in a row the fallback takes hold.",
    )
    replicas: int = Field(
        default=0,
        ge=0,
        le=MOST_REPLICAS,
        description=(
            "The number of workers that behavior speaks of. Required with static and "
            "currentReplicasIfLower. Left out otherwise: the fleet stays where it is."
        ),
        examples=[5],
        # Absent must stay absent in a cluster: a default would hide that static lacks it.
        json_schema_extra={"default": None},
    )
    behavior: Literal[
        "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"
    ] = Field(
        default="currentReplicasIfHigher",
        description=(
            "static: replicas, whatever there is now; currentReplicas: what there is now; "
            "currentReplicasIfHigher: the higher of the two; currentReplicasIfLower: what there "
            "is now, since unlike in KEDA only static lowers a fleet whose demand is unknown."
        ),
    )


class Paused(Model):
    """Held at a number of workers."""

    replicas: int = Field(
        ge=0,
        le=MOST_REPLICAS,
        description="The number of workers to hold; maxReplicas does not limit it.",
        examples=[5],
    )


def _branch(value: Any) -> str | None:
    if isinstance(value, bool):
        return "<bool>"
    return "<object>" if isinstance(value, (dict, Paused)) else None


PausedField = Annotated[
    Annotated[bool, Tag("<bool>")] | Annotated[Paused, Tag("<object>")],
    Discriminator(
        _branch,
        custom_error_type="paused",
        custom_error_message="write true, false, or {replicas: 5} to hold the fleet at 5 workers",
    ),
    # A boolean or an object has no type in a structural schema: "type" takes one name,
    # and must not stand below anyOf. So the field is left open there, and read by our
    # own code in the operator and in local mode alike.
    WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True}),
]


class Scaling(Model):
    """Limits, target and pace."""

    min_replicas: int = Field(
        default=0,
        ge=0,
        le=MOST_REPLICAS,
        description="Never fewer workers. 0: an idle fleet costs nothing.",
    )
    max_replicas: int = Field(
        default=10,
        ge=0,
        le=MOST_REPLICAS,
        description="Never more workers, whatever waits; at least 1.",
    )
    target: Target = Field(
        default=Target(max_wait=30.0),
        description=(
            "What the fleet aims at: maxWait or backlogPerReplica. Default: maxWait of 30s."
        ),
        # An API server would store it: who then applies the other one would have both.
        json_schema_extra={"default": None},
    )
    schedules: tuple[Schedule, ...] = Field(
        default=(),
        max_length=32,
        description=(
            "Times at which the fleet is kept at a floor, such as before a nightly run. Where "
            "several hold at once, the highest counts. Default: none."
        ),
    )
    behavior: Behavior = Field(
        default=Behavior(),
        description=(
            "How fast the number may change; the HPA's own schema and meaning. An absent block "
            "takes Sluiceway's default, a member left out of a given block takes the HPA's."
        ),
    )
    cooldown_period: Duration | None = Field(
        default=None,
        description=(
            "How long a fleet must have been without work before its last workers go, so only "
            "for the step to zero, as in KEDA. Steps above zero are damped by "
            "behavior.scaleDown. Default: as long as three new workers take to start one after "
            "another, as measured, within 15s and 60s."
        ),
        examples=["60s"],
    )
    fallback: Fallback | None = Field(
        default=None,
        description=(
            "What to hold while the broker cannot be read; KEDA's fields. Default: the fleet "
            "stays where it is."
        ),
    )
    paused: PausedField = Field(
        default=False,
        description=(
            "true: the number of workers is left as it is; {replicas: 5}: held at 5. Either "
            "way nothing is scaled until it is false again."
        ),
    )
