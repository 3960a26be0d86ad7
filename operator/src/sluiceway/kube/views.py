"""What is kept of a cluster's objects: the fields that a decision reads, and no more.

A Deployment is 7 kB of JSON and 40 kB of Python objects; a view of it is below one.
The structs follow the JSON, so that the decoder skips the rest while it reads. All
fields have defaults: what Kubernetes leaves out is empty, as in its own types.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

import msgspec


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Common settings: immutable, compared by value, never in a reference cycle."""


class OwnerReference(View, frozen=True):
    """Who made an object, and takes it along."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Condition(View, frozen=True):
    """One of an object's conditions; ``status`` is True, False or Unknown as a word."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class Metadata(View, frozen=True):
    """What all objects have."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    owner_references: tuple[OwnerReference, ...] = ()
    creation_timestamp: datetime = datetime.fromtimestamp(0, UTC)
    """Set by the API server, always."""
    deletion_timestamp: datetime | None = None

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages it; None for an object of its own."""
        return next((owner for owner in self.owner_references if owner.controller), None)


class LabelledMetadata(Metadata, frozen=True):
    """With the labels, which only those have need of that are found by them."""

    labels: dict[str, str] = {}


class VersionedMetadata(Metadata, frozen=True):
    """With what a conditional write needs."""

    resource_version: str = ""
    generation: int = 0


class Requirement(View, frozen=True):
    """One of a selector's conditions on a label."""

    key: str = ""
    operator: str = ""
    """In, NotIn, Exists or DoesNotExist."""
    values: tuple[str, ...] = ()


class Selector(View, frozen=True):
    """Which pods a Deployment counts as its own."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[Requirement, ...] = ()


class DeploymentSpec(View, frozen=True):
    """What is asked for."""

    replicas: int = 1
    selector: Selector = Selector()


class DeploymentStatus(View, frozen=True):
    """What the Deployment controller says there is."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class DeploymentAnnotations(View, frozen=True):
    """Of a Deployment's annotations, ours."""

    applied: str | None = msgspec.field(default=None, name="sluiceway.dev/applied")
    epoch: str | None = msgspec.field(default=None, name="sluiceway.dev/epoch")


class DeploymentMetadata(VersionedMetadata, frozen=True):
    """With the mark of what we applied last."""

    annotations: DeploymentAnnotations = DeploymentAnnotations()


class Deployment(View, frozen=True):
    """A fleet, as Kubernetes keeps it."""

    metadata: DeploymentMetadata = DeploymentMetadata()
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class ReplicaSetSpec(View, frozen=True):
    """What is asked for."""

    replicas: int = 1


class ReplicaSetStatus(View, frozen=True):
    """What there is; pods that were told to go do not count."""

    replicas: int = 0


class ReplicaSet(View, frozen=True):
    """One generation of a Deployment's pods."""

    metadata: LabelledMetadata = LabelledMetadata()
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class PodAnnotations(View, frozen=True):
    """Of a pod's annotations, ours to set."""

    deletion_cost: str | None = msgspec.field(
        default=None, name="controller.kubernetes.io/pod-deletion-cost"
    )


class PodMetadata(LabelledMetadata, frozen=True):
    """With the annotation that orders a ReplicaSet's scale-down."""

    annotations: PodAnnotations = PodAnnotations()


class PodSpec(View, frozen=True):
    """Where it runs."""

    node_name: str = ""
    """Empty until it is scheduled."""


class Waiting(View, frozen=True):
    """Why a container does not run."""

    reason: str = ""
    message: str = ""


class Terminated(View, frozen=True):
    """How a container ended."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    finished_at: datetime | None = None
    """By the node's clock, whole seconds."""


class ContainerState(View, frozen=True):
    """At most one is set; none of them while it runs."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(View, frozen=True):
    """One container, now and before its last restart."""

    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(View, frozen=True):
    """How far it has come."""

    phase: str = "Pending"
    reason: str = ""
    """``Evicted``, where the kubelet did so."""
    conditions: tuple[Condition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if there is one."""
        return next((one for one in self.conditions if one.type == kind), None)


class Pod(View, frozen=True):
    """A worker, as Kubernetes keeps it."""

    metadata: PodMetadata = PodMetadata()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ready(self) -> bool:
        """Whether its readiness says so; a container without a probe is ready as it runs."""
        ready = self.status.condition("Ready")
        return ready is not None and ready.status == "True"

    @property
    def finished(self) -> bool:
        """Whether it will never run again: an evicted pod stays on as an object."""
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def stopping(self) -> bool:
        """Told to go."""
        return self.metadata.deletion_timestamp is not None


class ScaleTarget(View, frozen=True):
    """What an autoscaler scales."""

    kind: str = ""
    name: str = ""


class AutoscalerSpec(View, frozen=True):
    """Whom it is meant for."""

    scale_target_ref: ScaleTarget = ScaleTarget()


class Autoscaler(View, frozen=True):
    """A HorizontalPodAutoscaler, also the one that KEDA makes."""

    metadata: Metadata = Metadata()
    spec: AutoscalerSpec = AutoscalerSpec()


class Taint(View, frozen=True):
    """What keeps pods off a node."""

    key: str = ""


class NodeSpec(View, frozen=True):
    """How it may be used."""

    taints: tuple[Taint, ...] = ()


class Node(View, frozen=True):
    """A machine, as Kubernetes keeps it."""

    metadata: Metadata = Metadata()
    spec: NodeSpec = NodeSpec()


class Watchable(Protocol):
    """An object of any kind."""

    @property
    def metadata(self) -> Metadata:
        """What all objects have."""


V = TypeVar("V", bound=Watchable)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource(Generic[V]):
    """A kind of object, where it is found, and what is kept of it."""

    view: type[V]
    api: str
    """Such as ``/apis/apps/v1``."""
    plural: str

    def path(self, namespace: str | None) -> str:
        """Where all of a namespace are found; None for those of the whole cluster."""
        within = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.api}{within}/{self.plural}"


DEPLOYMENTS = Resource(view=Deployment, api="/apis/apps/v1", plural="deployments")
REPLICA_SETS = Resource(view=ReplicaSet, api="/apis/apps/v1", plural="replicasets")
PODS = Resource(view=Pod, api="/api/v1", plural="pods")
NODES = Resource(view=Node, api="/api/v1", plural="nodes")
AUTOSCALERS = Resource(
    view=Autoscaler, api="/apis/autoscaling/v2", plural="horizontalpodautoscalers"
)
