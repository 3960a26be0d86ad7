"""The TaskQueue: one worker fleet, as its users write it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


def parse_duration(value: Any) -> float:
    """Placeholder until duration.py exists: «30s», «2h» → seconds."""
    if isinstance(value, (int, float)):
        return float(value)
    units = {"s": 1, "m": 60, "h": 3600}
    return float(value[:-1]) * units[value[-1]]


Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds inside, «30s» outside."""


class Model(BaseModel):
    """Closed, frozen, camelCase outside and snake_case inside."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class SecretKey(Model):
    name: str
    key: str


class UrlFrom(Model):
    secret_key_ref: SecretKey | None = None
    config_map_key_ref: SecretKey | None = None
    env: str | None = None


class Broker(Model):
    url: str | None = None
    url_from: UrlFrom | None = None
    key_prefix: str = ""
    priority_steps: tuple[int, ...] = (0, 3, 6, 9)
    separator: str = "\x06\x16"
    visibility_timeout: Duration | None = None


class Like(Model):
    name: str
    container: str | None = None


class DeploymentRef(Model):
    name: str
    pod_hints: bool = False


class Worker(Model):
    app: str | None = None
    image: str | None = None
    class_name: str | None = None
    concurrency: int | None = None
    pool: Literal["prefork", "solo", "threads", "gevent"] = "prefork"
    longest_task: Duration = 600.0
    acks: Literal["late", "early", "app"] | None = None
    agent: Literal["inject", "image", "none"] = "inject"
    python: str | None = None
    entrypoint: tuple[str, ...] = ()
    template: dict[str, Any] = Field(default_factory=dict)
    like: Like | None = None
    deployment_ref: DeploymentRef | None = None


class Target(Model):
    """Exactly one of the two is set; the default is a wait of 30 s."""

    max_wait: Duration | None = None
    backlog_per_replica: int | None = None


class Schedule(Model):
    cron: str
    timezone: str = "UTC"
    duration: Duration
    min_replicas: int


class ScalingPolicy(Model):
    type: Literal["Pods", "Percent"]
    value: int
    period_seconds: int


class ScalingRules(Model):
    """The HPA's HPAScalingRules: a member left out takes the HPA's default."""

    stabilization_window_seconds: int | None = None
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    policies: tuple[ScalingPolicy, ...] | None = None
    tolerance: str | None = None


class Behavior(Model):
    """An absent block takes our default: up at once and without limit, down after 60 s."""

    scale_up: ScalingRules | None = None
    scale_down: ScalingRules | None = None


class Fallback(Model):
    """KEDA's fields and meaning."""

    failure_threshold: int = 3
    replicas: int
    behavior: Literal[
        "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"
    ] = "currentReplicasIfHigher"


class Paused(Model):
    replicas: int


class Scaling(Model):
    min_replicas: int = 0
    max_replicas: int = 10
    target: Target = Target(max_wait=30.0)
    schedules: tuple[Schedule, ...] = ()
    behavior: Behavior = Behavior()
    cooldown_period: Duration = 60.0
    fallback: Fallback | None = None
    paused: bool | Paused = False


class TaskQueueSpec(Model):
    queues: tuple[str, ...] = ()
    broker: Broker = Broker()
    worker: Worker = Worker()
    scaling: Scaling = Scaling()


class ObjectMeta(BaseModel):
    """Only what we read; the API server owns the rest."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    name: str
    namespace: str = "default"
    uid: str | None = None
    generation: int | None = None


class TaskQueue(Model):
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
