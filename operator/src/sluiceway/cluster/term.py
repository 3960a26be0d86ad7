"""What a leader does from the moment it leads until it stops or loses.

    change ──▶ touch(key) ──▶ settle ──▶ fleet ──▶ the loop of its broker

Everything here belongs to one term: a new leader starts with what is, and with no
history. What is watched outlives terms; what is written asks for leave first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from sluiceway.act.deployments import Deployments, NotLeadingError
from sluiceway.act.recoveries import Told
from sluiceway.cluster.certificates import Certificates
from sluiceway.cluster.changes import Changes
from sluiceway.cluster.loops import Asker, BrokerLoops
from sluiceway.cluster.settle import Settled, Settler
from sluiceway.cluster.specs import Spec, Specs
from sluiceway.cluster.under_way import UnderWay
from sluiceway.cluster.view import ClusterView
from sluiceway.cluster.workqueue import WorkQueue
from sluiceway.kube.client import KubeClient
from sluiceway.kube.errors import KubeError
from sluiceway.kube.secrets import KeyReader
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
_RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Reports(Reporter, Told, Protocol):
    """Told what became of each TaskQueue, and of each tick of its fleet."""

    def settled(self, spec: Spec, settled: Settled) -> None:
        """It was looked at."""

    def went_otherwise(self, key: str, count: int) -> None:
        """Kubernetes removed so many pods of this fleet in place of those asked for."""

    def forget(self, key: str) -> None:
        """It exists no more."""


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
        self._specs = specs
        self._view = view
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
        self._under_way = UnderWay(
            client=client,
            specs=specs,
            view=view,
            write=write,
            loops_of=partial(
                BrokerLoops,
                asker=asker,
                pace=pace,
                waking_connections=waking_connections,
                report=reports,
                beats=beats,
                ticked=ticked,
                may_act=may_act,
            ),
            went_otherwise=reports.went_otherwise,
        )
        self._changes = Changes(
            specs=specs, settler=self._settler, under_way=self._under_way, touch=self.touch
        )
        self._uids: dict[str, str] = {}
        """Which object each name stands for: one may be deleted and made anew."""
        self._queue = WorkQueue()
        self._failures: dict[str, int] = {}
        self._missing_since: dict[str, float] = {}
        self._distrusted_at: dict[str, float] = {}

    async def run(self) -> None:
        """Lead until cancelled.

        Raises:
            Exception: a defect. Whoever runs this process starts it again.
        """
        await self._view.until_fresh()
        stop_listening = self._specs.listen(self.touch)
        self._view.on_deployment = self._changes.deployment
        self._view.on_autoscaler = self._changes.autoscalers
        self._view.on_pods = self._under_way.tick
        try:
            async with asyncio.TaskGroup() as tasks:
                self._under_way.begin(tasks)
                for _ in range(SETTLERS):
                    tasks.create_task(self._settle_on())
                tasks.create_task(self._reread())
                if self._specs.complete:
                    self.touch(self._specs.taskqueues.keys())
        finally:
            stop_listening()
            self._view.on_deployment = self._view.on_autoscaler = self._view.on_pods = _nobody
            await self._under_way.close()

    def touch(self, keys: Collection[str]) -> None:
        """Something about these TaskQueues changed: settle them anew."""
        self._queue.add(keys)

    def warnings_of(self, key: str) -> tuple[str, ...]:
        """What the platform team should mend at this fleet's broker."""
        return self._under_way.warnings_of(key)

    def looked_at(self, status: FleetStatus) -> None:
        """A fleet was ticked: where its broker cannot be read, its address may have changed."""
        settled = self._under_way.settled(status.fleet)
        if settled is None or not settled.sources:
            return
        if status.condition(DEMAND_KNOWN).status is Verdict.TRUE:
            return
        now = time.monotonic()
        if now - self._distrusted_at.get(status.fleet, float("-inf")) >= DISTRUST_S:
            self._distrusted_at[status.fleet] = now
            for source in settled.sources:
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
            under_way = self._under_way.settled(key) is not None
            if spec is not None and failures >= 2 and not under_way:
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
        self._changes.settled(spec, settled)
        self._reports.settled(spec, settled)
        if settled.watched is None:
            await self._under_way.let_be(key)
        else:
            await self._under_way.take_up(key, spec, settled, settled.watched)
        self.touch(settled.concerned)

    async def _forget(self, key: str) -> None:
        """That object exists no more."""
        if (settled := self._under_way.settled(key)) is not None:
            self._settler.vanished.discard(settled.deployment)
        await self._under_way.let_be(key, gone=True)
        self._uids.pop(key, None)
        self._changes.forget(key)
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

    async def _reread(self) -> None:
        """Addresses in Secrets change without a word to us."""
        while True:
            await asyncio.sleep(REREAD_S)
            self.touch(self._under_way.with_sources())


def _nobody(*_: object) -> None:
    """Another replica leads, or none."""
