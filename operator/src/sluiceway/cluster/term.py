"""What a leader does from the moment it leads until it stops or loses.

    change ──▶ touch(key) ──▶ settle ──▶ fleet ──▶ the loop of its broker

Everything here belongs to one term: a new leader starts with what is, and with no
history. What is watched outlives terms; what is written asks for leave first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from sluiceway.act.deployments import Deployments, NotLeadingError
from sluiceway.act.recoveries import Told
from sluiceway.cluster.certificates import Certificates
from sluiceway.cluster.fleet import DeploymentFleet
from sluiceway.cluster.loops import Asker, BrokerLoops
from sluiceway.cluster.pods import FollowedPods, selector_text
from sluiceway.cluster.settle import Settled, Settler
from sluiceway.cluster.specs import Spec, Specs
from sluiceway.cluster.view import ClusterView
from sluiceway.cluster.workqueue import WorkQueue
from sluiceway.kube.client import KubeClient
from sluiceway.kube.errors import KubeError
from sluiceway.kube.secrets import KeyReader
from sluiceway.kube.views import Deployment
from sluiceway.observe import Watched
from sluiceway.reconcile import Pace, Reporter
from sluiceway.report.conditions import Verdict
from sluiceway.report.health import Heartbeats
from sluiceway.report.resource import SetupProblem
from sluiceway.report.status import DEMAND_KNOWN, FleetStatus

log = logging.getLogger(__name__)

SETTLERS = 8
"""TaskQueues that are settled at the same time."""
REREAD_S = 60.0
"""How often an address is read again that lies in a Secret or a ConfigMap."""
DISTRUST_S = 5.0
"""A broker that cannot be read may have a new address; it is asked for that often."""
MISSING = frozenset(
    {"WorkerClassNotFound", "DeploymentNotFound", "BrokerUrlUnknown", "BrokerTlsUnknown"}
)
MISSING_FOR_S = 10.0
"""For so long nobody is called for something that does not exist yet."""
SECOND_LOOK_S = 0.05
"""After its first look a new fleet is looked at again: what arrives can be told from then on,
and its first status waits for that."""
_RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Reports(Reporter, Told, Protocol):
    """Told what became of each TaskQueue, and of each tick of its fleet."""

    def settled(self, spec: Spec, settled: Settled) -> None:
        """It was looked at."""

    def went_otherwise(self, key: str, count: int) -> None:
        """Kubernetes removed so many pods of this fleet in place of those asked for."""

    def forget(self, key: str) -> None:
        """It exists no more."""


@dataclass(kw_only=True, slots=True)
class _Held:
    """A fleet under way."""

    settled: Settled
    fleet: DeploymentFleet
    following: asyncio.Task[None] | None
    """Where the pods have a watch of their own."""
    selector: str


class Term:
    """One replica's time as the leader."""

    def __init__(
        self,
        *,
        client: KubeClient,
        specs: Specs,
        view: ClusterView,
        write: Deployments,
        reports: Reports,
        certificates: Path,
        agent_image: str,
        asker: Asker,
        pace: Pace,
        waking_connections: int,
        beats: Heartbeats,
        ticked: Callable[[float], None],
        may_act: Callable[[], bool],
    ) -> None:
        """Do nothing yet.

        Args:
            certificates: a folder for brokers' certificates; nobody else may read it.
            waking_connections: as in ``BrokerLoops``.
            beats: where each broker's loop shows that it goes on.
            ticked: told after every tick how long it took, seconds.
            may_act: whether messages of dead workers may be moved.
        """
        self._client = client
        self._specs = specs
        self._view = view
        self._write = write
        self._reports = reports
        self._keys = KeyReader(client)
        self._settler = Settler(
            client=client,
            specs=specs,
            view=view,
            keys=self._keys,
            certificates=Certificates(self._keys, certificates),
            write=write,
            agent_image=agent_image,
            epoch=asker.epoch,
        )
        self._loops_of = partial(
            BrokerLoops,
            asker=asker,
            pace=pace,
            waking_connections=waking_connections,
            report=reports,
            beats=beats,
            ticked=ticked,
            may_act=may_act,
        )
        self._uids: dict[str, str] = {}
        """Which object each name stands for: one may be deleted and made anew."""
        self._held: dict[str, _Held] = {}
        self._by_deployment: defaultdict[str, set[str]] = defaultdict(set)
        """Deployment → the TaskQueues that are settled anew when it changes."""
        self._uses: dict[str, frozenset[str]] = {}
        self._queue = WorkQueue()
        self._failures: dict[str, int] = {}
        self._missing_since: dict[str, float] = {}
        self._distrusted_at: dict[str, float] = {}
        self._tasks: asyncio.TaskGroup
        self._loops: BrokerLoops

    async def run(self) -> None:
        """Lead until cancelled.

        Raises:
            Exception: a defect. Whoever runs this process starts it again.
        """
        await self._view.until_fresh()
        stop_listening = self._specs.listen(self.touch)
        self._view.on_deployment = self._deployment_changed
        self._view.on_autoscaler = self._autoscalers_changed
        self._view.on_pods = self._tick
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._loops = self._loops_of(self._tasks)
                for _ in range(SETTLERS):
                    self._tasks.create_task(self._settle_on())
                self._tasks.create_task(self._reread())
                if self._specs.complete:
                    self.touch(self._specs.taskqueues.keys())
        finally:
            stop_listening()
            self._view.on_deployment = self._view.on_autoscaler = self._view.on_pods = _nobody
            await self._loops.close()

    def touch(self, keys: Collection[str]) -> None:
        """Something about these TaskQueues changed: settle them anew."""
        self._queue.add(keys)

    def warnings_of(self, key: str) -> tuple[str, ...]:
        """What the platform team should mend at this fleet's broker."""
        held = self._held.get(key)
        return self._loops.warnings(held.fleet.watched.address) if held is not None else ()

    def looked_at(self, status: FleetStatus) -> None:
        """A fleet was ticked: where its broker cannot be read, its address may have changed."""
        held = self._held.get(status.fleet)
        if held is None or not held.settled.sources:
            return
        if status.condition(DEMAND_KNOWN).status is Verdict.TRUE:
            return
        now = time.monotonic()
        if now - self._distrusted_at.get(status.fleet, float("-inf")) >= DISTRUST_S:
            self._distrusted_at[status.fleet] = now
            for source in held.settled.sources:
                self._keys.distrust(source)
            self.touch({status.fleet})

    async def _settle_on(self) -> None:
        while True:
            key = await self._queue.take()
            try:
                await self._settle(key)
                self._failures.pop(key, None)
            except NotLeadingError:
                return  # the term is about to be ended
            except Exception as exc:
                self._try_again(key, exc)
            finally:
                self._queue.done(key)
            # Where nothing is to be written nothing is waited for, and ten thousand in a row
            # would keep the Lease from being renewed.
            await asyncio.sleep(0)

    def _try_again(self, key: str, exc: Exception) -> None:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        wait_s = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
        if isinstance(exc, KubeError):
            log.warning("%s: %s; trying again in %.1f s", key, exc, wait_s)
            spec = self._specs.taskqueues.get(key)
            if spec is not None and failures >= 2 and key not in self._held:
                problem = SetupProblem(
                    reason="ApiServerUnavailable", sentence=str(exc), person_must_act=False
                )
                self._reports.settled(spec, Settled(problem=problem))
        else:
            log.error("%s: cannot be settled", key, exc_info=exc)
        asyncio.get_running_loop().call_later(wait_s, self.touch, {key})

    async def _settle(self, key: str) -> None:
        spec = self._specs.taskqueues.get(key)
        if spec is None or self._uids.get(key, spec.uid) != spec.uid:
            await self._forget(key)
        if spec is None:
            return
        self._uids[key] = spec.uid
        settled = self._with_patience(key, await self._settler.settle(spec))
        self._use(key, _uses(spec, settled))
        self._reports.settled(spec, settled)
        if settled.watched is None:
            await self._let_be(key)
        else:
            await self._take_up(key, spec, settled, settled.watched)
        self.touch(settled.concerned)

    async def _forget(self, key: str) -> None:
        """That object exists no more."""
        if (held := self._held.get(key)) is not None:
            self._settler.vanished.discard(held.settled.deployment)
        await self._let_be(key, gone=True)
        self._uids.pop(key, None)
        self._use(key, frozenset())
        self._missing_since.pop(key, None)
        self._distrusted_at.pop(key, None)
        self.touch(self._settler.forget(key))
        self._reports.forget(key)

    def _with_patience(self, key: str, settled: Settled) -> Settled:
        """What is missing may be about to come: tools apply objects in an order of their own."""
        problem = settled.problem
        if problem is None or problem.reason not in MISSING:
            self._missing_since.pop(key, None)
            return settled
        now = time.monotonic()
        left_s = self._missing_since.setdefault(key, now) + MISSING_FOR_S - now
        if left_s <= 0:
            return settled
        asyncio.get_running_loop().call_later(left_s, self.touch, {key})
        return replace(settled, problem=replace(problem, person_must_act=False))

    async def _take_up(self, key: str, spec: Spec, settled: Settled, watched: Watched) -> None:
        """Let the fleet be ticked as it is written now."""
        before = self._held.get(key)
        worker, selector = watched.taskqueue.spec.worker, ""
        if worker.deployment_ref is not None:
            there = self._view.deployments.objects.get(settled.deployment)
            if there is None:
                return  # it has just gone, and that is settled, too
            selector = selector_text(there)
        if before is not None and (before.settled, before.selector) == (settled, selector):
            return
        pods, following = self._view.pods, None
        owner: str | None = spec.uid
        label = spec.name
        hints = worker.agent != "none"
        if worker.deployment_ref is not None:
            hints, label, owner = worker.deployment_ref.pod_hints, "", None
            if before is not None and before.following is not None and before.selector == selector:
                pods, following = before.fleet.pods, before.following
            else:
                pods = FollowedPods(
                    self._client,
                    namespaces=[spec.namespace],
                    selector=selector,
                    changed=lambda _namespace, _label: self._tick(key),
                    lost=self._view.nodes.lost,
                )
                following = self._tasks.create_task(pods.run())
        fleet = DeploymentFleet(
            watched,
            deployment=settled.deployment,
            owner=owner,
            label=label,
            hints=hints,
            deployments=self._view.deployments,
            pods=pods,
            write=self._write,
            went_otherwise=lambda count: self._reports.went_otherwise(key, count),
        )
        if before is not None:
            fleet.take_over(before.fleet)
            if before.following is not None and before.following is not following:
                before.following.cancel()
        self._held[key] = _Held(
            settled=settled, fleet=fleet, following=following, selector=selector
        )
        self._loops.put(fleet)
        if before is None and self._specs.is_new(key):
            asyncio.get_running_loop().call_later(SECOND_LOOK_S, self._tick, key)
        if before is not None and before.fleet.watched.address != watched.address:
            left = before.fleet.watched
            await self._loops.drop(key, left.address, gone=left)

    async def _let_be(self, key: str, *, gone: bool = False) -> None:
        """Tick the fleet no more; its workers stay as they are, unless its TaskQueue is gone."""
        held = self._held.get(key)
        if held is None:
            return
        del self._held[key]
        if held.following is not None:
            held.following.cancel()
        watched = held.fleet.watched
        await self._loops.drop(key, watched.address, gone=watched if gone else None)

    def _tick(self, key: str) -> None:
        if (held := self._held.get(key)) is not None:
            self._loops.touch(key, held.fleet.watched.address)

    def _use(self, key: str, deployments: frozenset[str]) -> None:
        for one in self._uses.pop(key, frozenset()) - deployments:
            self._by_deployment[one].discard(key)
            if not self._by_deployment[one]:
                del self._by_deployment[one]
        for one in deployments:
            self._by_deployment[one].add(key)
        if deployments:
            self._uses[key] = deployments

    def _deployment_changed(self, before: Deployment | None, now: Deployment | None) -> None:
        one = now or before
        assert one is not None
        concerned = self._by_deployment.get(one.metadata.key, ())
        if not concerned:
            return
        if before is None or now is None or _has_workers(before) or _has_workers(now):
            for key in concerned:
                self._tick(key)
        if now is None:
            self._settler.vanished.add(one.metadata.key)
        elif before is None:
            self._settler.vanished.discard(one.metadata.key)
        if before is None or now is None:
            self.touch(concerned)
        elif before.metadata.generation != now.metadata.generation:
            if _was_changed(before, now):
                self._settler.drifted.add(one.metadata.key)
                self.touch(concerned)
            else:
                # A new number says nothing to its own fleet; to those that follow it, the
                # same update may have brought a new image.
                self.touch({key for key in concerned if not self._scales(key, now)})

    def _scales(self, key: str, deployment: Deployment) -> bool:
        held = self._held.get(key)
        return held is not None and held.settled.deployment == deployment.metadata.key

    def _autoscalers_changed(self, namespace: str) -> None:
        self.touch(
            {
                key
                for key, spec in self._specs.taskqueues.items()
                if spec.namespace == namespace
                and spec.taskqueue is not None
                and spec.taskqueue.spec.worker.deployment_ref is not None
            }
        )

    async def _reread(self) -> None:
        """Addresses in Secrets change without a word to us."""
        while True:
            await asyncio.sleep(REREAD_S)
            self.touch({key for key, held in self._held.items() if held.settled.sources})


def _uses(spec: Spec, settled: Settled) -> frozenset[str]:
    """The Deployments that it is made with: its own, and the one it takes after."""
    used = {settled.deployment} if settled.deployment else set()
    worker = spec.taskqueue.spec.worker if spec.taskqueue is not None else None
    if worker is not None and worker.like is not None:
        used.add(f"{spec.namespace}/{worker.like.name}")
    if worker is not None and worker.deployment_ref is not None:
        used.add(f"{spec.namespace}/{worker.deployment_ref.name}")
    return frozenset(used)


def _was_changed(before: Deployment, now: Deployment) -> bool:
    """Whether of two generations more than the number changed, and not by an apply of ours."""
    return (
        before.spec.replicas == now.spec.replicas
        and before.metadata.annotations == now.metadata.annotations
    )


def _has_workers(one: Deployment) -> bool:
    """Whether its status says anything of workers: a new Deployment's changes several times,
    without any."""
    return one.spec.replicas > 0 or one.status.replicas > 0


def _nobody(*_: object) -> None:
    """Another replica leads, or none."""
