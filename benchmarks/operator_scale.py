"""One operator and many TaskQueues on a real control plane: what they cost, idle and busy.

TaskQueues that exist are taken into service by an operator that starts; it idles; then
one in a hundred gets messages. API server, etcd, controllers, broker and operator share
this machine; nothing but the operator's own process is counted as its cost.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import redis

from benchmarks.common import Result, arguments, machine, server, show, url_of, write

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "cluster"))

from testcluster.build import ensure_built  # noqa: E402
from testcluster.control_plane import ControlPlane  # noqa: E402
from testcluster.kubectl import Kubectl  # noqa: E402

BUSY_SHARE = 100
"""One in so many gets messages."""
IDLE_S = 30.0
_APPLIED_AT_ONCE = 200


def run(count: int) -> Result:
    """Seconds, megabytes and shares of a core for ``count`` TaskQueues."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ControlPlane(ensure_built(), Path(folder)) as control_plane,
        server() as broker,
    ):
        kubectl = control_plane.kubectl
        kubectl.run("apply", "-f", str(ROOT / "manifests" / "crds"))
        kubectl.run("wait", "--for=condition=Established", "-f", str(ROOT / "manifests" / "crds"))
        _apply(kubectl, broker, count)
        with _operator(control_plane) as operator:
            taken_in_s = operator.until(lambda told: told["ready"] >= count)
            time.sleep(10.0)  # statuses follow a little later
            idle = operator.cost_of(IDLE_S)
            busy = _burst(broker, operator, count)
        with _operator(control_plane) as operator:
            again_s = operator.until(lambda told: told["fleets"] >= count)
    return {
        "taken_into_service": {
            "s": round(taken_in_s, 1),
            "per_s": round(count / taken_in_s, 1),
        },
        "idle": idle,
        "one_in_a_hundred_busy": busy,
        "restart_until_all_are_ticked_s": round(again_s, 1),
    }


class Running:
    """The operator's process, and what it says of itself."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._port = port
        self._started = time.monotonic()

    def told(self) -> dict[str, float]:
        """Sums over its metrics."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics") as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            lines = []  # it does not listen yet
        sums = dict.fromkeys(("ready", "fleets", "asked", "requests"), 0.0)
        for line in lines:
            name, _, rest = line.partition("{")
            value = float(line.rpartition(" ")[2]) if rest else 0.0
            match name:
                case "sluiceway_taskqueue_ready":
                    sums["ready"] += value
                case "sluiceway_taskqueue_asked_replicas":
                    sums["asked"] += value
                    sums["fleets"] += 1
                case "sluiceway_kubernetes_requests_total":
                    sums["requests"] += value
        return sums

    def until(self, holds: Callable[[dict[str, float]], bool], within_s: float = 900.0) -> float:
        """Seconds from its start until this is true of what it tells."""
        while not holds(self.told()):
            if time.monotonic() - self._started > within_s:
                raise TimeoutError(f"not within {within_s:.0f} s: {self.told()}")
            time.sleep(0.25)
        return time.monotonic() - self._started

    def cost_of(self, seconds: float) -> Result:
        """What it takes while nothing happens."""
        asked, before, began = self.told()["requests"], self._cpu_s(), time.monotonic()
        time.sleep(seconds)
        spent, took = self._cpu_s() - before, time.monotonic() - began
        return {
            "share_of_a_core": round(spent / took, 3),
            "rss_MB": round(self._rss_bytes() / 1e6),
            "api_requests_per_s": round((self.told()["requests"] - asked) / took, 2),
        }

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _rss_bytes(self) -> int:
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def _apply(kubectl: Kubectl, broker: redis.Redis, count: int) -> None:
    bodies = [
        {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "TaskQueue",
            "metadata": {"name": f"queue-{n}", "namespace": "default"},
            "spec": {
                "broker": {"url": url_of(broker)},
                "worker": {"app": "shop", "image": "shop:1"},
                "scaling": {"maxReplicas": 4},
            },
        }
        for n in range(count)
    ]
    parts = [bodies[n : n + _APPLIED_AT_ONCE] for n in range(0, count, _APPLIED_AT_ONCE)]
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda part: kubectl.run(
                    "create",
                    "-f",
                    "-",
                    stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": part}),
                ),
                parts,
            )
        )


@contextmanager
def _operator(control_plane: ControlPlane) -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            str(ROOT / ".venv" / "bin" / "sluiceway"),
            "operator",
            f"--kubeconfig={control_plane.credentials.kubeconfig()}",
            f"--address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Running(process, port)
    finally:
        process.terminate()
        process.wait()


def _burst(broker: redis.Redis, operator: Running, count: int) -> Result:
    busy = range(0, count, BUSY_SHARE)
    began = time.monotonic()
    for n in busy:
        broker.lpush(f"queue-{n}", *["{}"] * 10)
    while operator.told()["asked"] < len(busy):
        time.sleep(0.05)
    return {"queues": len(busy), "s_until_all_have_workers": round(time.monotonic() - began, 2)}


def main() -> None:
    """The numbers of TaskQueues come from the command line."""
    options = arguments(__doc__ or "")
    figures: Result = {"machine": machine()}
    for count in (100, 1_000, 10_000) if options.full else (100,):
        figures[f"{count}_taskqueues"] = run(count)
        show(f"{count} TaskQueues", figures[f"{count}_taskqueues"])
    write(options.json, figures)


if __name__ == "__main__":
    main()
