"""A cluster whose kubelet is played: a real API server, real controllers, real workers.

Pods of one namespace are worker processes of this machine. They are told to go as a kubelet
does it, and what became of them stands in their status as a kubelet writes it: needs no root,
no images and no containers. A process that ended by itself is not started again before it is
asked for, as in a kubelet's back-off.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.field import Field, Worker
from sluiceway.kube.client import KubeClient
from sluiceway.kube.errors import NOT_FOUND, KubeError
from sluiceway.kube.requests import MERGE_PATCH

TESTS = Path(__file__).resolve().parents[2] / "tests"
# The test cluster is no installed package.
sys.path[:0] = [str(TESTS / "cluster")]

from testcluster.build import ensure_built  # noqa: E402
from testcluster.control_plane import ControlPlane  # noqa: E402

NODE = "played"
_LOOK_S = 0.2
_BEAT_S = 10.0


@contextmanager
def control_plane() -> Iterator[ControlPlane]:
    """A control plane that knows TaskQueues."""
    with (
        tempfile.TemporaryDirectory(prefix="played-") as folder,
        ControlPlane(ensure_built(), Path(folder)) as running,
    ):
        crds = str(TESTS.parent / "manifests" / "crds")
        running.kubectl.run("apply", "--filename", crds)
        running.kubectl.run("wait", "--for=condition=Established", "--filename", crds)
        yield running


class Kubelet:
    """Runs the pods of one namespace."""

    def __init__(self, client: KubeClient, namespace: str, field: Field) -> None:
        self.workers: dict[str, Worker] = {}
        """By pod; those that run."""
        self._client = client
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._namespace = namespace
        self._field = field
        self._fallen: set[str] = set()
        self._going: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def pods(self) -> list[dict[str, Any]]:
        """As the API server has them."""
        found: list[dict[str, Any]] = json.loads(await self._client.request("GET", self._pods))[
            "items"
        ]
        return found

    def fell(self, pod: str) -> None:
        """Its container has ended by force; it is not started again yet."""
        del self.workers[pod]
        self._fallen.add(pod)
        self._start(self._say(pod, **_waits(), lastState=_ended(137)))

    def start_again(self) -> None:
        """The back-off of those that fell is over."""
        for pod in self._fallen:
            self._run(pod)
        self._fallen.clear()

    async def run(self) -> None:
        """Until cancelled."""
        beaten = float("-inf")
        while True:
            with suppress(KubeError):  # it is slow; all is looked at again
                if time.monotonic() > beaten + _BEAT_S:
                    await self._beat()
                    beaten = time.monotonic()
                for pod in await self.pods():
                    await self._look(pod)
            await asyncio.sleep(_LOOK_S)

    async def _look(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        if "deletionTimestamp" in pod["metadata"]:
            if name not in self._going:
                self._going.add(name)
                self._start(self._end(name))
        elif "nodeName" not in pod["spec"]:
            await self._bind(name)
        elif name not in self.workers and name not in self._fallen:
            self._run(name)

    def _run(self, pod: str) -> None:
        fleet = f"{self._namespace}/work"
        self.workers[pod] = self._field.start(
            SLUICEWAY_NAME=pod, SLUICEWAY_FLEET=fleet, SLUICEWAY_MAX_DELIVERIES="100"
        )
        container = f"played://{uuid.uuid4().hex}"
        running = {"state": {"running": {"startedAt": _now()}}, "containerID": container}
        self._start(self._say(pod, ready=True, started=True, **running))

    async def _bind(self, pod: str) -> None:
        # By hand: a scheduler would give the node other namespaces' pods as well.
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        body = {"metadata": {"name": pod}, "target": target}
        with suppress(KubeError):  # it was deleted meanwhile
            await self._client.request("POST", f"{self._pods}/{pod}/binding", body=body)

    async def _end(self, pod: str) -> None:
        worker = self.workers.pop(pod, None)
        if worker is not None:
            await asyncio.to_thread(worker.end)
            await self._say(pod, ready=False, state=_ended(0))
        self._fallen.discard(pod)
        await self._insist("DELETE", f"{self._pods}/{pod}", {"gracePeriodSeconds": 0})

    async def _say(self, pod: str, *, ready: bool = False, **container: Any) -> None:
        status = {"name": "worker", "image": "shop:1", "imageID": "", "restartCount": 0}
        is_ready = {"type": "Ready", "status": str(ready), "lastTransitionTime": _now()}
        body = {
            "status": {
                "phase": "Running",
                "conditions": [is_ready],
                "containerStatuses": [{**status, "ready": ready, **container}],
            }
        }
        await self._insist("PATCH", f"{self._pods}/{pod}/status", body, MERGE_PATCH)

    async def _insist(
        self, method: str, path: str, body: Any, content_type: str = "application/json"
    ) -> None:
        """Until it is done, or there is no such object any more."""
        while True:
            try:
                await self._client.request(method, path, body=body, content_type=content_type)
            except KubeError as exc:
                if exc.status != NOT_FOUND:
                    await asyncio.sleep(_LOOK_S)
                    continue
            return

    async def _beat(self) -> None:
        now = _now()
        with suppress(KubeError):  # it is there
            body = {"metadata": {"name": NODE}, "spec": {"unschedulable": True}}
            await self._client.request("POST", "/api/v1/nodes", body=body)
        room = {"cpu": "64", "memory": "64Gi", "pods": "100"}
        ready = {"type": "Ready", "status": "True", "reason": "Played", "message": ""}
        ready |= {"lastHeartbeatTime": now, "lastTransitionTime": now}
        status = {"status": {"allocatable": room, "capacity": room, "conditions": [ready]}}
        await self._insist("PATCH", f"/api/v1/nodes/{NODE}/status", status, MERGE_PATCH)

    def _start(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def kubelet(plane: ControlPlane, namespace: str, field: Field) -> AsyncIterator[Kubelet]:
    """It runs the namespace's pods for the time of the context."""
    async with await KubeClient.connect(plane.credentials.kubeconfig()) as client:
        played = Kubelet(client, namespace, field)
        task = asyncio.create_task(played.run())
        try:
            yield played
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.request("DELETE", f"/api/v1/nodes/{NODE}")


def _ended(code: int) -> dict[str, Any]:
    over = {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": _now()}
    return {"terminated": over | {"startedAt": _now()}}


def _waits() -> dict[str, Any]:
    return {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
