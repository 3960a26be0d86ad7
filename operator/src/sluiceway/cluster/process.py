"""The operator process: it watches always, and leads one term after the other.

Specs, ClusterView ── watched as long as the process lives
Leadership ── Term ── runs while this replica leads, and is cancelled when it loses
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from sluiceway.act.deployments import Deployments
from sluiceway.api.taskqueue import GROUP, VERSION
from sluiceway.cluster.loops import Asker
from sluiceway.cluster.reports import ClusterReports
from sluiceway.cluster.rollcall import call_the_roll
from sluiceway.cluster.serving import Told, keep_beating, serving
from sluiceway.cluster.specs import Specs
from sluiceway.cluster.term import Term
from sluiceway.cluster.view import ClusterView
from sluiceway.handlers import registry_for, watch_specs
from sluiceway.kube.client import KubeClient
from sluiceway.kube.errors import NOT_FOUND, KubeError
from sluiceway.kube.leader import Leadership
from sluiceway.kube.lease import LeaseStore
from sluiceway.kube.rate import Rate
from sluiceway.reconcile import Pace
from sluiceway.report.event_writer import EventWriter
from sluiceway.report.exposition import exposition, registry_of
from sluiceway.report.fleet_meters import FleetMeters
from sluiceway.report.health import Heartbeats, not_ready
from sluiceway.report.operator_meters import OperatorMeters
from sluiceway.report.status_writer import StatusWriter

log = logging.getLogger(__name__)

_ASK_AGAIN_S = 2.0
_LOOP_LIMIT_S = 30.0
_STANDING_LIMIT_S = 60.0
"""An attempt comes every few seconds and lasts five at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How an operator is set up."""

    agent_image: str
    """What is injected into workers' pods."""
    namespaces: Sequence[str] = ()
    """Whose TaskQueues; empty for all."""
    dry_run: bool = False
    """Decide and tell it in the log and the metrics; change nothing."""
    lease_namespace: str = "default"
    lease_name: str = "sluiceway"
    """Another one for each operator that has TaskQueues of its own."""
    kube_api_qps: float = 500.0
    """Requests to the API server a second, at most; watches and the Lease apart."""
    kube_api_burst: int = 1_000
    """So many at once after a pause."""
    waking_connections: int = 1_000
    """Brokers that may hold a connection open by which they say that a queue changed."""
    deployment: str | None = None
    """That this is a pod of, in the Lease's namespace; None outside of a cluster."""
    kubeconfig: Path | None = None
    address: str = ":8080"
    """Where health and metrics are served."""
    pod: str | None = None
    """The name of the pod that this is; None outside of a cluster."""
    pace: Pace = field(default_factory=Pace)


async def run(options: Options, stop: asyncio.Event | None = None) -> None:
    """Run one replica until a signal comes or ``stop`` is set.

    Raises:
        KubeError: there is no usable configuration, or a right is missing that nothing
            can be done without.
        ServingError: the address cannot be listened on.
    """
    rate = Rate(options.kube_api_qps, options.kube_api_burst)
    async with (
        await KubeClient.connect(options.kubeconfig, rate=rate) as client,
        # Of its own, so that a renewal never waits behind other requests.
        await KubeClient.connect(options.kubeconfig) as lease_client,
    ):
        await Operator(options, client, lease_client).run(stop or asyncio.Event())


class Operator:
    """One replica."""

    def __init__(self, options: Options, client: KubeClient, lease_client: KubeClient) -> None:
        """Nothing runs yet."""
        self._options = options
        self._client = client
        self._identity = f"{options.pod or socket.gethostname()}_{secrets.token_hex(4)}"
        self._beats = Heartbeats(time.monotonic)
        self._specs = Specs()
        self._view = ClusterView(client, namespaces=options.namespaces)
        self._leadership = Leadership(
            LeaseStore(
                lease_client,
                namespace=options.lease_namespace,
                name=options.lease_name,
                deployment=options.deployment,
            ),
            identity=self._identity,
            tried=self._beats.expect("standing for leadership", _STANDING_LIMIT_S),
        )
        self._fleet_meters = FleetMeters()
        self._meters = OperatorMeters(
            version=version("sluiceway"),
            leads=self._leads,
            watches=self._view.by_resource,
            clock=time.monotonic,
        )
        client.told = lease_client.told = self._meters.asked
        self._serves_specs = False
        dry = options.dry_run
        self._reports = ClusterReports(
            specs=self._specs,
            statuses=None if dry else self._status_writer(client),
            events=None if dry else self._event_writer(client),
            meters=self._fleet_meters,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Watch, stand, lead; until ``stop`` is set or a signal comes."""
        registry = registry_of(self._meters)
        told = Told(
            health=self._beats.health,
            not_ready=self._missing,
            exposition=partial(exposition, self._fleet_meters, registry),
        )
        async with AsyncExitStack() as stack:
            host, port = await stack.enter_async_context(serving(self._options.address, told))
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            log.info("%s serves health and metrics on %s", self._identity, where)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            beating = tasks.create_task(
                keep_beating(self._beats.expect("the event loop", _LOOP_LIMIT_S))
            )
            await self._until_served()
            watching = tasks.create_task(self._view.run())
            leading = tasks.create_task(self._lead())
            calling = tasks.create_task(
                call_the_roll(self._client, self._specs, namespaces=self._options.namespaces)
            )
            # kopf takes the signals, and comes back when one told it to stop.
            self._serves_specs = True
            await watch_specs(
                registry_for(self._specs, self._client.connection),
                namespaces=self._options.namespaces,
                stop=stop,
            )
            log.info("stopping: no more decisions, and leadership is handed over")
            leading.cancel()
            await asyncio.wait([leading])
            watching.cancel()
            calling.cancel()
            beating.cancel()

    def _status_writer(self, client: KubeClient) -> StatusWriter:
        return StatusWriter(
            client,
            may_write=self._leads,
            gone=lambda key: self._reports.gone(key),
            told=lambda worked: self._meters.status_written(failed=not worked),
        )

    def _event_writer(self, client: KubeClient) -> EventWriter:
        return EventWriter(client, reporter=self._identity, may_write=self._leads)

    def _leads(self) -> bool:
        return self._options.dry_run or self._leadership.may_act()

    def _missing(self) -> dict[str, str]:
        return not_ready(
            {
                "specs": lambda: None if self._serves_specs else "TaskQueues are not served yet",
                "cluster": lambda: self._view.problem,
                "leadership": lambda: self._leadership.problem if not self._leads() else None,
            }
        )

    async def _until_served(self) -> None:
        """kopf would never notice definitions that are made after it looked for them."""
        for plural in ("taskqueues", "workerclasses"):
            told = ""
            while True:
                try:
                    await self._client.request("GET", self._path(plural), query={"limit": "1"})
                    break
                except KubeError as exc:
                    if exc.status == 403:
                        raise
                    mend = "apply manifests/crds" if exc.status == NOT_FOUND else "trying again"
                    sentence = f"the {plural} cannot be read: {exc}; {mend}"
                    if sentence != told:
                        log.warning("%s", sentence)
                    told = sentence
                await asyncio.sleep(_ASK_AGAIN_S)

    def _path(self, plural: str) -> str:
        within = ""
        if plural == "taskqueues" and self._options.namespaces:
            within = f"/namespaces/{self._options.namespaces[0]}"
        return f"/apis/{GROUP}/{VERSION}{within}/{plural}"

    async def _lead(self) -> None:
        if self._options.dry_run:
            log.info("dry run: it decides as a leader would, and changes nothing")
            await self._term(0)
        else:
            await self._leadership.run(self._term)

    async def _term(self, epoch: int) -> None:
        with TemporaryDirectory(prefix="sluiceway-") as folder:
            await self._act(epoch, Path(folder))

    async def _act(self, epoch: int, folder: Path) -> None:
        term = Term(
            client=self._client,
            specs=self._specs,
            view=self._view,
            write=Deployments(self._client, may_act=self._leads, dry_run=self._options.dry_run),
            reports=self._reports,
            certificates=folder,
            agent_image=self._options.agent_image,
            asker=Asker(name=self._identity, epoch=epoch),
            pace=self._options.pace,
            waking_connections=self._options.waking_connections,
            beats=self._beats,
            ticked=self._meters.ticked,
            may_act=lambda: not self._options.dry_run and self._leads(),
        )
        async with self._reports.term(term):
            await term.run()
