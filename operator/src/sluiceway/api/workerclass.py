"""The WorkerClass: what StorageClass is to volumes, for workers.

A platform team offers a few of them («light», «high-cpu») that stand for node pools;
TaskQueues name one. An application team so chooses a kind of machine without knowing
labels and taints, and a pool can change without touching any TaskQueue.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from sluiceway.api.model import Model, Name, OpenObject
from sluiceway.api.quantity import Quantity
from sluiceway.api.taskqueue import ObjectMeta

Namespace = Annotated[str, StringConstraints(min_length=1, max_length=63)]
LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=316)]
LabelValue = Annotated[str, StringConstraints(max_length=63)]


class Toleration(Model):
    """A taint that the workers bear; Kubernetes' Toleration."""

    key: Name | None = Field(
        default=None,
        description="The taint's key. Default: all keys, and then operator must be Exists.",
        examples=["dedicated"],
    )
    operator: Literal["Exists", "Equal"] = Field(
        default="Equal", description="Whether value must be equal or the key only be there."
    )
    value: LabelValue | None = Field(
        default=None, description="The taint's value, with Equal.", examples=["high-cpu"]
    )
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect. Default: all effects."
    )
    toleration_seconds: int | None = Field(
        default=None,
        ge=0,
        le=31_536_000,
        description="With NoExecute: for how many seconds it is borne. Default: for ever.",
        examples=[300],
    )


class Resources(Model):
    """Compute resources of one worker; Kubernetes' ResourceRequirements."""

    requests: dict[Name, Quantity] = Field(
        default_factory=dict,
        description="What a node must have free for a worker.",
        examples=[{"cpu": "2", "memory": "1Gi"}],
        max_length=16,
    )
    limits: dict[Name, Quantity] = Field(
        default_factory=dict,
        description="What a worker may use at most; not below requests.",
        examples=[{"memory": "2Gi"}],
        max_length=16,
    )


class Affinity(Model):
    """Kubernetes' Affinity; what is inside is handed on as it is."""

    node_affinity: OpenObject | None = Field(
        default=None,
        description="As in a pod's spec.affinity.nodeAffinity.",
    )
    pod_affinity: OpenObject | None = Field(
        default=None,
        description="As in a pod's spec.affinity.podAffinity.",
    )
    pod_anti_affinity: OpenObject | None = Field(
        default=None,
        description="As in a pod's spec.affinity.podAntiAffinity.",
    )


class WorkerClassSpec(Model):
    """Which nodes workers of this class run on, and what they ask for by default."""

    default: bool = Field(
        default=False,
        description=(
            "Whether TaskQueues that name no class get this one. Where several classes say so, "
            "none is taken, and the TaskQueues' status says why."
        ),
    )
    allowed_namespaces: tuple[Namespace, ...] = Field(
        default=(),
        max_length=256,
        description=("The namespaces whose TaskQueues may use this class, by name. Default: all."),
        examples=[["shop"]],
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        description="Labels that a node must have, as in a pod's spec.nodeSelector.",
        examples=[{"pool": "high-cpu"}],
        max_length=32,
    )
    affinity: Affinity | None = Field(
        default=None, description="Finer rules on where workers run, as in a pod's spec.affinity."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(),
        max_length=32,
        description="Taints that the workers bear, as in a pod's spec.tolerations.",
    )
    resources: Resources = Field(
        default=Resources(),
        description=(
            "What a worker asks for where its TaskQueue's template says nothing else. Default: "
            "nothing."
        ),
    )
    priority_class_name: Name | None = Field(
        default=None,
        description="PriorityClass of the workers' pods. Default: the cluster's.",
        examples=["batch"],
    )
    runtime_class_name: Name | None = Field(
        default=None,
        description="RuntimeClass of the workers' pods. Default: the node's.",
        examples=["gvisor"],
    )


class WorkerClass(Model):
    """A kind of machine that workers run on, offered by the platform team."""

    api_version: Literal["sluiceway.dev/v1alpha1"] = "sluiceway.dev/v1alpha1"
    kind: Literal["WorkerClass"] = "WorkerClass"
    metadata: ObjectMeta
    spec: WorkerClassSpec

    def to_outside(self) -> dict[str, Any]:
        """What a user would write for this, without what is left at its default."""
        return {"apiVersion": self.api_version, "kind": self.kind, **super().to_outside()}
