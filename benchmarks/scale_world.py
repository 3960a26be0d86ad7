"""A control plane with many TaskQueues, an operator, and what can be seen of them from outside.

What is there is read from a watch of its own, never from the operator: to ask it would
cost it what is to be measured.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluiceway.api.taskqueue import GROUP, VERSION
from sluiceway.kube.client import KubeClient
from sluiceway.kube.views import (
    DEPLOYMENTS,
    Condition,
    Deployment,
    Resource,
    VersionedMetadata,
    View,
)
from sluiceway.kube.watch import Watch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "cluster"))

from testcluster.build import ensure_built  # noqa: E402
from testcluster.control_plane import ControlPlane  # noqa: E402
from testcluster.processes import free_ports  # noqa: E402

__all__ = ["AGENT_IMAGE", "QUEUES", "ControlPlane", "Operator", "Seen", "control_plane"]
__all__ += ["create", "name_of"]

SYSTEM = "sluiceway-system"
AGENT_IMAGE = "sluiceway-agent:1"
QUEUES = "queues"
"""The namespaces of the operator and of the TaskQueues."""
_GRACE_S = 30.0
_AT_ONCE = 32
"""Requests by whoever applies the TaskQueues."""


@contextmanager
def control_plane(folder: Path, *, controllers: bool) -> Iterator[ControlPlane]:
    """One without nodes, with our definitions, and the operator's account and rights.

    Args:
        controllers: whether Deployments are looked after: without, there are neither
            ReplicaSets nor pods.
    """
    base = ROOT / "manifests" / "base"
    with ControlPlane(ensure_built(), folder) as running:
        kubectl = running.kubectl
        kubectl.run("apply", "-f", str(ROOT / "manifests" / "crds"))
        kubectl.run("wait", "--for=condition=Established", "-f", str(ROOT / "manifests" / "crds"))
        kubectl.run("create", "namespace", QUEUES)
        kubectl.run("apply", "-f", str(base / "namespace.yaml"))
        for part in ("serviceaccount", "fleets-role", "lease-role", "workerclasses-role"):
            kubectl.run("apply", "-f", str(base / f"{part}.yaml"))
        if not controllers:
            running.controller_manager.stop()
            running.scheduler.stop()
        yield running


class Operator:
    """The operator's process, with the rights that it has in a pod."""

    def __init__(self, cluster: ControlPlane, log: Path) -> None:
        """It is started, and does not lead yet."""
        (port,) = free_ports(1)
        self._address = f"http://127.0.0.1:{port}"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    str(ROOT / ".venv" / "bin" / "sluiceway"),
                    "operator",
                    f"--kubeconfig={cluster.kubeconfig_for('sluiceway', SYSTEM)}",
                    f"--lease-namespace={SYSTEM}",
                    f"--agent-image={AGENT_IMAGE}",
                    f"--address=127.0.0.1:{port}",
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def metrics(self) -> str:
        """Where its metrics are."""
        return f"{self._address}/metrics"

    def until_it_leads(self) -> None:
        """Return once it is ready."""
        while True:
            try:
                with urllib.request.urlopen(f"{self._address}/readyz"):
                    return
            except OSError:  # also an answer that says no
                time.sleep(0.1)

    def stop(self) -> None:
        """End it as Kubernetes would."""
        self._process.terminate()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Status(View, frozen=True):
    conditions: tuple[Condition, ...] = ()


class _TaskQueue(View, frozen=True):
    metadata: VersionedMetadata = VersionedMetadata()
    status: _Status = _Status()

    @property
    def ready(self) -> bool:
        return any(one.type == "Ready" and one.status == "True" for one in self.status.conditions)


_TASKQUEUES = Resource(view=_TaskQueue, api=f"/apis/{GROUP}/{VERSION}", plural="taskqueues")


class Seen:
    """The TaskQueues and Deployments as they are; a watch in a thread of its own."""

    def __init__(self, kubeconfig: Path) -> None:
        """Looking begins with ``with``."""
        self.created = self.made = self.ready = 0
        """TaskQueues, their Deployments, and TaskQueues that are Ready."""
        self.asked: dict[str, int] = {}
        """The workers asked for, by TaskQueue, where there are any."""
        self._kubeconfig = kubeconfig
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> Seen:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    async def _run(self) -> None:
        self._stopped = asyncio.Event()
        async with await KubeClient.connect(self._kubeconfig) as client:
            taskqueues = Watch(client, _TASKQUEUES, changed=self._taskqueue, namespaces=[QUEUES])
            fleets = Watch(client, DEPLOYMENTS, changed=self._deployment, namespaces=[QUEUES])
            following = [asyncio.create_task(one.run()) for one in (taskqueues, fleets)]
            await self._stopped.wait()
            for task in following:
                task.cancel()

    def _taskqueue(self, before: _TaskQueue | None, now: _TaskQueue | None) -> None:
        self.created += (now is not None) - (before is not None)
        self.ready += bool(now and now.ready) - bool(before and before.ready)

    def _deployment(self, before: Deployment | None, now: Deployment | None) -> None:
        self.made += (now is not None) - (before is not None)
        name = (now or before or Deployment()).metadata.name.removesuffix("-worker")
        replicas = now.spec.replicas if now is not None else 0
        if replicas:
            self.asked[name] = replicas
        else:
            self.asked.pop(name, None)


def name_of(number: int) -> str:
    """The TaskQueue of that number, and its queue."""
    return f"queue-{number}"


def create(cluster: ControlPlane, broker_url: str, count: int) -> None:
    """Make so many TaskQueues, several at a time; returns when the API server has them."""
    asyncio.run(_create(cluster.credentials.kubeconfig(), broker_url, count))


async def _create(kubeconfig: Path, broker_url: str, count: int) -> None:
    numbers = iter(range(count))
    path = _TASKQUEUES.path(QUEUES)
    async with await KubeClient.connect(kubeconfig) as client:

        async def one_after_the_other() -> None:
            for n in numbers:
                body = _taskqueue(name_of(n), broker_url)
                await client.request("POST", path, body=body, timeout_s=60.0)

        await asyncio.gather(*(one_after_the_other() for _ in range(_AT_ONCE)))


def _taskqueue(name: str, broker_url: str) -> dict[str, object]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TaskQueue",
        "metadata": {"name": name},
        "spec": {
            "broker": {"url": broker_url},
            "worker": {"app": "shop", "image": "shop:1"},
            "scaling": {"maxReplicas": 4},
        },
    }
