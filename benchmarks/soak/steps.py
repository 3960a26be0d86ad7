"""The operator is killed at each single step of a drain, or of a recovery, one after the other.

First it is let through once, so that its steps are known; then another one dies at each point:
before a step, or as soon as it is done. There are two replicas at any time, as they ship: the
other leads when the Lease is over. Workers and the API server are real, the kubelet is played.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.common import Result
from benchmarks.field import APP, Field, children, fresh_field, heartbeats
from benchmarks.load import Load
from benchmarks.soak.played import Kubelet, control_plane, kubelet
from benchmarks.soak.points import DRAIN, RECOVERY, Trap
from benchmarks.verdict import Verdict
from sluiceway.kube.errors import KubeError
from sluiceway_worker import wire

WORKERS = 3
PATIENCE_S = 300.0


def drains(times: int, seed: int) -> Result:
    """So many operators die, the first at point ``seed`` of a drain."""
    return _played(DRAIN, times, seed)


def recoveries(times: int, seed: int) -> Result:
    """So many operators die, the first at point ``seed`` of a recovery."""
    return _played(RECOVERY, times, seed)


def _played(kind: str, times: int, seed: int) -> Result:
    with control_plane() as plane, fresh_field() as field:
        return asyncio.run(Play(plane, "default", field).run(kind, times, seed))


class Play:
    """A fleet of three under work, two operators, and what is done to them."""

    def __init__(self, plane: Any, namespace: str, field: Field) -> None:
        """
        Args:
            plane: a control plane (testcluster) that knows TaskQueues.
            namespace: an empty one.
        """
        self._plane = plane
        self._namespace = namespace
        self._field = field
        self._folder = field.folder
        self._operators: list[subprocess.Popen[bytes]] = []
        self._ended: dict[int, float] = {}
        self._kubelet: Kubelet

    async def run(self, kind: str, times: int, seed: int = 1, only: Sequence[str] = ()) -> Result:
        """Let so many die, and count.

        Args:
            kind: ``points.DRAIN`` or ``points.RECOVERY``.
            seed: the number of the first one's point, from 1.
            only: these points, such as ``after lease 1``, in place of all that there are.
        """
        act = self._drain if kind == DRAIN else self._recover
        trap = Trap(self._folder, kind)
        died: list[str] = []
        async with AsyncExitStack() as stack:
            self._kubelet = await stack.enter_async_context(
                kubelet(self._plane, self._namespace, self._field)
            )
            stack.callback(self._end_operators)
            self._keep_two()
            await self._apply(WORKERS)
            await self._whole(WORKERS)
            with Load(self._field, random.Random(seed + 1)) as load:
                points = list(only) or await _points(trap, act)
                for number in range(seed - 1, seed - 1 + times):
                    point = points[number % len(points)]
                    died.append(point if await self._die_at(trap, point, act) else "")
            await asyncio.to_thread(self._field.settle, set(load.sent))
            figures = Verdict(set(load.sent), self._ended).figures(self._field)
        went = [one for one in died if one]
        return figures | {"operators_killed": len(went), "points": sorted(set(went))}

    async def _die_at(self, trap: Trap, point: str, act: Callable[[], Awaitable[None]]) -> bool:
        """Whether one of them came to that point, and died of it."""
        trap.arm(point)
        await act()
        gone = trap.sprung
        trap.disarm()
        self._keep_two()
        return gone

    async def _drain(self) -> None:
        """One worker fewer is asked for, and goes; then it is back."""
        await self._apply(WORKERS - 1)
        await self._whole(WORKERS - 1)
        await self._apply(WORKERS)
        await self._whole(WORKERS)

    async def _recover(self) -> None:
        """A worker that runs something is killed; what it held comes back, and then it does."""
        pod, worker = await self._until(self._one_that_runs, "one of them runs a task")
        processes = [worker.pid, *children(worker.pid)]
        self._ended |= dict.fromkeys(processes, time.time())
        worker.kill()
        self._kubelet.fell(pod)
        await self._until(lambda: not self._holds(pod), f"what {pod} held is given to others")
        self._kubelet.start_again()
        await self._whole(WORKERS)

    def _one_that_runs(self) -> Any:
        for pod, worker in self._kubelet.workers.items():
            if self._field.running(children(worker.pid)):
                return pod, worker
        return None

    def _holds(self, pod: str) -> bool:
        names: Any = self._field.redis.hkeys(wire.holders_key(""))
        return any(name.decode().rpartition(":")[0] == pod for name in names)

    async def _whole(self, count: int) -> None:
        """Wait until so many pods are there, and each of them consumes."""

        async def so() -> bool:
            self._keep_two()
            try:
                pods = await self._kubelet.pods()
            except KubeError:
                return False
            names = {pod["metadata"]["name"] for pod in pods}
            return len(names) == count and self._consuming() >= names

        await self._until(so, f"{count} workers consume")

    def _consuming(self) -> set[str]:
        beats = heartbeats(self._field.redis).values()
        return {one.name for one in beats if one.state == wire.CONSUMING}

    async def _until(self, holds: Callable[[], Any], what: str) -> Any:
        ends = time.monotonic() + PATIENCE_S
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            if time.monotonic() > ends:
                raise RuntimeError(f"never came: {what}; {self._last_words()}")
            await asyncio.sleep(0.1)

    async def _apply(self, workers: int) -> None:
        scaling = {
            "minReplicas": workers,
            "maxReplicas": workers,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        }
        worker = {"app": APP, "image": "shop:1", "concurrency": 2, "acks": "late"}
        taskqueue = {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "TaskQueue",
            "metadata": {"name": "work"},
            "spec": {
                "broker": {"url": self._field.url},
                "worker": {**worker, "maxDeliveries": 100},
                "scaling": scaling,
            },
        }
        kubectl = self._plane.kubectl.within(self._namespace)
        await asyncio.to_thread(kubectl.apply, json.dumps(taskqueue))

    def _keep_two(self) -> None:
        self._operators = [one for one in self._operators if one.poll() is None]
        while len(self._operators) < 2:
            self._operators.append(self._operator())

    def _operator(self) -> subprocess.Popen[bytes]:
        kubeconfig = str(self._plane.credentials.kubeconfig())
        with (self._folder / "operators.log").open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "benchmarks.soak.dying"),
                    *(kubeconfig, self._namespace, str(self._folder)),
                ],
                cwd=Path(__file__).resolve().parents[2],
                stdout=log,
                stderr=log,
            )

    def _end_operators(self) -> None:
        for one in self._operators:
            one.send_signal(signal.SIGKILL)
            one.wait()

    def _last_words(self) -> str:
        log = self._folder / "operators.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""


async def _points(trap: Trap, act: Callable[[], Awaitable[None]]) -> list[str]:
    """The points in their order, when nobody dies."""
    trap.arm()
    await act()
    trap.disarm()
    return trap.passed()
