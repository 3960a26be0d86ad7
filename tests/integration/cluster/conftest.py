"""A real operator beside a real API server and a real broker; pods are not run.

The operator runs in this process, through the same entry as `sluiceway operator`. A
control plane without nodes makes pods that stay pending: enough for everything up to
the number of workers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace

from sluiceway.cluster.process import Options, run
from sluiceway.reconcile import Pace
from tests.conftest import RedisServer

CRDS = Path(__file__).parents[3] / "manifests" / "crds"


class InCluster:
    """A namespace with an operator that watches it."""

    def __init__(self, control_plane: ControlPlane, namespace: Namespace, broker: RedisServer):
        self.control_plane = control_plane
        self.name = namespace.name
        self.kubectl = namespace.kubectl
        self.broker = broker

    def taskqueue(self, name: str, **spec: Any) -> dict[str, Any]:
        """A TaskQueue on the test's broker; members of ``spec`` go on top."""
        given = {
            "broker": {"url": self.broker.url},
            "worker": {"app": "shop.tasks", "image": "shop:1"},
            "scaling": {"maxReplicas": 20, "target": {"backlogPerReplica": 5}},
        }
        return {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "TaskQueue",
            "metadata": {"name": name},
            "spec": {**given, **spec},
        }

    async def apply(self, *objects: dict[str, Any]) -> None:
        await asyncio.to_thread(self.kubectl.apply, yaml.safe_dump_all(objects))

    async def run(self, *args: str) -> str:
        return str(await asyncio.to_thread(self.kubectl.run, *args))

    async def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object as it is; None where it does not exist."""
        found = await self.run("get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(found) if found.strip() else None

    async def until(
        self, kind: str, name: str, holds: Callable[[dict[str, Any] | None], bool]
    ) -> Any:
        """The object once it ``holds``; a hang says how it looked last."""
        found: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(120):
                while not holds(found := await self.get(kind, name)):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"{kind} {name} does not come to that:\n{json.dumps(found, indent=1)}")
        return found

    async def replicas(self, deployment: str, number: int) -> None:
        await self.until(
            "deployment",
            deployment,
            lambda found: found is not None and found["spec"]["replicas"] == number,
        )

    async def condition(self, name: str, type_: str, status: str) -> dict[str, Any]:
        """The TaskQueue's condition once it has that status."""
        found = await self.until(
            "taskqueue", name, lambda tq: condition(tq, type_).get("status") == status
        )
        return condition(found, type_)

    def publish(self, queue: str, number: int) -> None:
        """Messages as a Celery application would send them, without a stamp."""
        message = json.dumps({"body": "", "headers": {"id": "x"}, "properties": {}})
        self.broker.client().lpush(queue, *[message] * number)


def condition(taskqueue: dict[str, Any] | None, type_: str) -> dict[str, Any]:
    """One condition of its status; empty where it is not there."""
    conditions = (taskqueue or {}).get("status", {}).get("conditions", ())
    return next((one for one in conditions if one["type"] == type_), {})


@pytest.fixture(scope="session")
def served(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with our definitions."""
    control_plane.kubectl.run("apply", "-f", str(CRDS))
    control_plane.kubectl.run("wait", "--for=condition=Established", "-f", str(CRDS))
    return control_plane


class Running:
    """An operator in this process."""

    def __init__(self, options: Options) -> None:
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(run(options, self._stop))

    async def stop(self) -> None:
        """In good order; what went wrong in it is raised here."""
        self._stop.set()
        async with asyncio.timeout(120):  # only reached by a hang
            await self._task


class StartOperator(Protocol):
    async def __call__(self, **options: Any) -> Running: ...


@pytest.fixture
async def start_operator(
    served: ControlPlane, namespace: Namespace
) -> AsyncIterator[StartOperator]:
    """Start an operator for the namespace; it ends with the test."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Running:
            given = {
                "agent_image": "sluiceway-agent:0.1.0",
                "namespaces": (namespace.name,),
                "lease_namespace": namespace.name,
                "kubeconfig": served.credentials.kubeconfig(),
                "address": "127.0.0.1:0",
                "pace": Pace(busy_s=0.25, idle_s=1.0),
            }
            running = Running(Options(**{**given, **options}))
            stack.push_async_callback(running.stop)
            return running

        yield start


@pytest.fixture
def in_cluster(served: ControlPlane, namespace: Namespace, redis_server: RedisServer) -> InCluster:
    return InCluster(served, namespace, redis_server)
