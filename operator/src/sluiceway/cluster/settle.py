"""From a TaskQueue as it is written to what its fleet needs: the world is made to match it.

    class, like ──▶ manifest ──▶ broker's address ──▶ claims ──▶ Deployment applied

Each step may find that a person must act. What exists is then kept as it is, and
where a Deployment exists already, its fleet goes on being scaled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluiceway.act.deployments import Deployments, mark_of
from sluiceway.api.taskqueue import GROUP, VERSION, TaskQueue
from sluiceway.broker.address import AddressError
from sluiceway.cluster.certificates import Certificates, refs_of
from sluiceway.cluster.claims import Claim, Claims, DeploymentClaim, queue_claims
from sluiceway.cluster.setup import SetupError
from sluiceway.cluster.specs import Spec, Specs
from sluiceway.cluster.urls import Url, address_in, url_of
from sluiceway.cluster.view import ClusterView
from sluiceway.kube.client import KubeClient
from sluiceway.kube.errors import NOT_FOUND, KubeError
from sluiceway.kube.secrets import KeyReader, KeyRef
from sluiceway.kube.views import Deployment
from sluiceway.observe import Watched
from sluiceway.report.resource import SetupProblem
from sluiceway.workload.classes import class_of
from sluiceway.workload.deployment import deployment, name_of
from sluiceway.workload.like import Taken, take_after
from sluiceway.workload.unmakeable import UnmakeableError


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What became of a TaskQueue."""

    class_name: str | None = None
    problem: SetupProblem | None = None
    watched: Watched | None = None
    """What is to be observed and scaled; None where the fleet is to be left alone."""
    deployment: str = ""
    """The ``namespace/name`` of its Deployment."""
    sources: tuple[KeyRef, ...] = ()
    """Where the broker's address was read, and its certificates."""
    concerned: frozenset[str] = field(default=frozenset(), compare=False)
    """Other TaskQueues that are to be settled anew, because of what this one claims."""


class Settler:
    """Settles TaskQueues, each as often as something about it changes."""

    def __init__(
        self,
        *,
        client: KubeClient,
        specs: Specs,
        view: ClusterView,
        keys: KeyReader,
        certificates: Certificates,
        write: Deployments,
        agent_image: str,
        epoch: int,
    ) -> None:
        """Settle nothing yet.

        Args:
            epoch: of this term.
        """
        self._client = client
        self._specs = specs
        self._view = view
        self._keys = keys
        self._certificates = certificates
        self._write = write
        self._agent_image = agent_image
        self._epoch = epoch
        self._claims = Claims()
        self.drifted: set[str] = set()
        """Deployments that somebody else has changed; they are applied again."""
        self.vanished: set[str] = set()
        """Deployments that are gone, maybe with a TaskQueue of whose end nobody told."""

    def forget(self, key: str) -> frozenset[str]:
        """A TaskQueue is gone; returns the others that this may help."""
        return self._claims.put(key, "", frozenset())

    async def settle(self, spec: Spec) -> Settled:
        """Make the world match ``spec``, as far as it can be matched.

        Raises:
            KubeError: the API server cannot be asked at the moment.
            NotLeadingError: another replica leads.
        """
        taskqueue = spec.taskqueue
        if taskqueue is None:
            sentence = "; ".join(str(problem) for problem in spec.problems)
            return Settled(problem=SetupProblem(reason="InvalidSpec", sentence=sentence))
        try:
            if taskqueue.spec.worker.deployment_ref is not None:
                return await self._brought_along(spec, taskqueue)
            return await self._own(spec, taskqueue)
        except SetupError as exc:
            return Settled(problem=exc.problem, concerned=exc.concerned)

    async def _own(self, spec: Spec, taskqueue: TaskQueue) -> Settled:
        """With a Deployment that is made of the TaskQueue."""
        key = f"{spec.namespace}/{name_of(taskqueue)}"
        if (there := self._deployments.get(key)) is not None:
            _check_owner(there, spec)
        problem: SetupProblem | None = None
        class_name, manifest = None, None
        try:
            workerclass = class_of(taskqueue, self._specs.classes.values())
            class_name = workerclass.metadata.name if workerclass is not None else None
            manifest = deployment(
                taskqueue,
                workerclass=workerclass,
                agent_image=self._agent_image,
                taken=await self._taken(taskqueue),
            )
            pod: Mapping[str, Any] = manifest["spec"]["template"]["spec"]
        except UnmakeableError as exc:
            problem = SetupProblem(reason=exc.why.value, sentence=exc.sentence)
            pod = await self._pod_of(key)
        except SetupError as exc:
            problem = exc.problem
            pod = await self._pod_of(key)
        url = await url_of(taskqueue, pod, self._keys)
        watched, url_problem = await self._watched(taskqueue, url)
        concerned = self._claim(spec, watched, key)
        if manifest is not None:
            try:
                await self._ensure(spec, key, manifest)
            except SetupError as exc:
                problem = exc.problem
        if (
            there is not None
            and there.spec.replicas > 0
            and there.metadata.annotations.epoch != str(self._epoch)
        ):
            # Where nobody works there is nobody whom the leader before could tell to go.
            await self._write.take_over(there, self._epoch)
        return Settled(
            class_name=class_name,
            problem=problem or url_problem,
            # Without a Deployment there is nothing to scale.
            watched=watched if manifest is not None or key in self._deployments else None,
            deployment=key,
            sources=(*url.sources, *_certificates_of(taskqueue)),
            concerned=concerned,
        )

    async def _brought_along(self, spec: Spec, taskqueue: TaskQueue) -> Settled:
        """With a Deployment of the team's own, of which only the number is ours."""
        ref = taskqueue.spec.worker.deployment_ref
        assert ref is not None
        key = f"{spec.namespace}/{ref.name}"
        there = self._there(key, "worker.deploymentRef.name")
        if (other := self._view.autoscaler_of(there)) is not None:
            raise SetupError(
                "ScaledByAnother",
                f"worker.deploymentRef: the HorizontalPodAutoscaler {other} scales the "
                f"Deployment {ref.name} already: remove it, or remove this TaskQueue",
            )
        source = taskqueue.spec.broker.url_from
        pod = await self._pod_of(key) if source is not None and source.env is not None else {}
        url = await url_of(taskqueue, pod, self._keys)
        watched, problem = await self._watched(taskqueue, url)
        concerned = self._claim(spec, watched, key)
        return Settled(
            problem=problem,
            watched=watched,
            deployment=key,
            sources=(*url.sources, *_certificates_of(taskqueue)),
            concerned=concerned,
        )

    async def _watched(self, taskqueue: TaskQueue, url: Url) -> tuple[Watched, SetupProblem | None]:
        """The fleet with its broker; an address that cannot be used is both's problem."""
        namespace, tls = taskqueue.metadata.namespace, taskqueue.spec.broker.tls
        problem = url.problem
        if url.value is not None:
            try:
                address = address_in(taskqueue, url.value)
                if tls is not None:
                    address = await self._certificates.on(
                        address, namespace=namespace, secret=tls.secret_name
                    )
                return Watched(taskqueue=taskqueue, address=address), None
            except AddressError as exc:
                problem = SetupProblem(reason="BrokerUrlInvalid", sentence=f"spec.broker: {exc}")
            except SetupError as exc:
                problem = exc.problem
        assert problem is not None
        return Watched(taskqueue=taskqueue, address=None, problem=problem.sentence), problem

    def _claim(self, spec: Spec, watched: Watched, deployment_key: str) -> frozenset[str]:
        """Claim the queues and the Deployment; an older TaskQueue's stay its own."""
        claims: set[Claim] = {DeploymentClaim(key=deployment_key)}
        if watched.address is not None:
            claims |= set(queue_claims(watched.address, watched.broker_queues))
        concerned = self._claims.put(spec.key, spec.created, frozenset(claims))
        if (taken := self._claims.taken(spec.key)) is not None:
            claim, owner = taken
            which = "queues" if not isinstance(claim, DeploymentClaim) else "worker.deploymentRef"
            raise SetupError(
                "Taken",
                f"spec.{which}: the TaskQueue {owner} has the {claim} already, and two would "
                "each count its work: name another here, or remove one of the two",
                concerned=concerned,
            )
        return concerned

    async def _taken(self, taskqueue: TaskQueue) -> Taken | None:
        """What ``worker.like`` brings."""
        like = taskqueue.spec.worker.like
        if like is None:
            return None
        key = f"{taskqueue.metadata.namespace}/{like.name}"
        self._there(key, "worker.like.name")
        body = await self._get(key)
        return take_after(like, body["spec"]["template"])

    async def _pod_of(self, key: str) -> Mapping[str, Any]:
        """The pods' spec in an existing Deployment; empty where there is none."""
        if key not in self._deployments:
            return {}
        body = await self._get(key)
        spec: Mapping[str, Any] = body["spec"]["template"]["spec"]
        return spec

    async def _ensure(self, spec: Spec, key: str, manifest: dict[str, Any]) -> None:
        """Let the Deployment be as the manifest says; do nothing where it is.

        Raises:
            SetupError: the API server refuses it.
        """
        there = self._deployments.get(key)
        mark = there.metadata.annotations.applied if there is not None else None
        try:
            if there is None:
                if key in self.vanished:
                    await self._check_exists(spec)
                await self._write.create(manifest)
            elif mark != mark_of(manifest) or key in self.drifted:
                await self._write.apply(manifest, has_none=there.spec.replicas == 0)
                self.drifted.discard(key)
        except KubeError as exc:
            if exc.status in (400, 403, 413, 422):
                raise SetupError("WorkloadRefused", f"spec.worker: {exc}") from exc
            raise

    async def _check_exists(self, spec: Spec) -> None:
        """Else its Deployment would be made, and taken away with its owner, for ever.

        Raises:
            SetupError: the TaskQueue is gone, and was forgotten.
        """
        found = await self._client.request(
            "GET", _all_of(spec.namespace), query={"fieldSelector": f"metadata.name={spec.name}"}
        )
        if any(one["metadata"]["uid"] == spec.uid for one in json.loads(found)["items"]):
            return
        self._specs.remove_taskqueue(spec.key, spec.uid)
        raise SetupError(
            "JustDeleted", "the TaskQueue has just been deleted", person_must_act=False
        )

    def _there(self, key: str, field: str) -> Deployment:
        found = self._deployments.get(key)
        if found is None:
            name = key.partition("/")[2]
            raise SetupError(
                "DeploymentNotFound",
                f"{field}: there is no Deployment {name} in this namespace: create it, or "
                "correct the name",
            )
        return found

    async def _get(self, key: str) -> Any:
        namespace, _, name = key.partition("/")
        try:
            return json.loads(
                await self._client.request(
                    "GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
                )
            )
        except KubeError as exc:
            if exc.status == NOT_FOUND:
                raise SetupError(
                    "DeploymentNotFound",
                    f"the Deployment {name} has just gone",
                    person_must_act=False,
                ) from exc
            raise

    @property
    def _deployments(self) -> Mapping[str, Deployment]:
        return self._view.deployments.objects


def _all_of(namespace: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/taskqueues"


def _certificates_of(taskqueue: TaskQueue) -> tuple[KeyRef, ...]:
    tls = taskqueue.spec.broker.tls
    return refs_of(taskqueue.metadata.namespace, tls.secret_name) if tls is not None else ()


def _check_owner(there: Deployment, spec: Spec) -> None:
    """Another's Deployment of the same name is not to be touched, and not to be scaled.

    Raises:
        SetupError: it is one.
    """
    owner = there.metadata.controller
    if owner is not None and owner.uid == spec.uid:
        return
    if owner is not None and (owner.kind, owner.name) == ("TaskQueue", spec.name):
        raise SetupError(
            "WaitingForDeletion",
            f"the Deployment of an earlier TaskQueue {spec.name} is still being deleted",
            person_must_act=False,
        )
    raise SetupError(
        "DeploymentTaken",
        f"metadata.name: a Deployment {there.metadata.name} exists already and is not this "
        "TaskQueue's: rename one of the two, or scale it with worker.deploymentRef",
    )
