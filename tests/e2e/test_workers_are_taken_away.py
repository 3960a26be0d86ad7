"""Workers are taken away by others than the operator, under work: nothing is lost.

Nodes are drained, pods evicted or deleted by force, a node freezes or loses its power. What
became of each task is counted by its id (benchmarks/verdict.py): only what somebody ended by
force may run again.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from stage.fleet import Fleet
from stage.scene import Scene
from stage.until import until
from stage.verdict import figures
from testcluster.local import LocalCluster
from testcluster.node import Node
from testcluster.provider import Cluster

from sluiceway_worker import wire

WORKERS = 4
QUEUE = "exports"
FAR = "high-cpu"
"""The node that fails; broker, ledger and operator are on the other."""
SILENT_S = 20.0
"""So long a worker that proves nothing is waited for."""

EVERYWHERE: dict[str, Any] = {
    "apiVersion": "sluiceway.dev/v1alpha1",
    "kind": "WorkerClass",
    "metadata": {"name": "everywhere"},
    "spec": {
        "tolerations": [{"key": "pool", "operator": "Exists"}],
        "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "512Mi"}},
    },
}
SPREAD = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "ScheduleAnyway",
    "labelSelector": {"matchLabels": {"sluiceway.dev/taskqueue": QUEUE}},
}


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """How often it happens."""
    return request.config.option.times or 1


@pytest.fixture
def own_nodes(cluster: Cluster) -> LocalCluster:
    """Nodes of our own: only those can be frozen, or lose their power."""
    if not isinstance(cluster, LocalCluster):
        pytest.skip("only on nodes of our own")
    return cluster


class Stage:
    """A fleet on both nodes that has work all the time."""

    def __init__(self, scene: Scene, figures_file: Path | None, *, longest_s: float) -> None:
        self.scene = scene
        self.ends: dict[str, list[float]] = {}
        """When each pod was ended by force, or frozen, Unix seconds."""
        self._file = figures_file
        self._longest_s = longest_s

    def start(self, **worker: Any) -> None:
        """Four workers, spread over the nodes."""
        self.scene.apply(EVERYWHERE)
        spread = {"spec": {"topologySpreadConstraints": [SPREAD]}}
        self.fleet = self.scene.fleet(
            QUEUE,
            worker={"className": "everywhere", "template": spread, **worker},
            scaling={"minReplicas": WORKERS, "maxReplicas": WORKERS},
        )
        self.fleet.await_ready(WORKERS)

    def keep_busy(self) -> None:
        """Let some tasks wait, but not many."""
        if self.scene.broker.client.llen(QUEUE) < WORKERS:
            for _ in range(WORKERS):
                seconds = random.uniform(0.2, self._longest_s)
                self.scene.tasks.publish(QUEUE, 1, seconds=seconds)

    def busy_until(self, holds: Callable[[], Any], that: str, hangs_s: float = 150.0) -> None:
        """Work goes on until it holds."""

        def ask() -> Any:
            self.keep_busy()
            return holds()

        until(ask, that=that, hangs_s=hangs_s)

    def hit(self, *pods: str) -> None:
        """These are ended by force, or frozen, at this moment."""
        for pod in pods:
            self.ends.setdefault(pod, []).append(time.time())

    def busy_until_given_to_others(self, *pods: str) -> None:
        """Work goes on until others have been given all that these pods held."""
        holders = wire.holders_key("")

        def none_left() -> bool:
            there = [one.decode() for one in self.scene.broker.client.hkeys(holders)]
            return not any(one.rpartition(":")[0] in pods for one in there)

        self.busy_until(none_left, f"nothing is held by {', '.join(pods)}", 300.0)

    def pods(self, node: str | None = None) -> list[str]:
        """The workers that are ready, those on one node alone if it is named."""
        return [
            pod["metadata"]["name"]
            for pod in self.fleet.pods()
            if "deletionTimestamp" not in pod["metadata"]
            and node in (None, pod["spec"].get("nodeName"))
            and _is_ready(pod)
        ]

    def whole(self) -> bool:
        """Whether all workers that are asked for are ready, and nobody is left over."""
        return len(self.pods()) == WORKERS == len(self.fleet.pods())

    def running(self) -> set[str]:
        """The pods that run a task at this moment."""
        rows = list(self.scene.tasks.rows())
        ended = {(row[0], row[3]) for row in rows if row[1] == "ended"}
        return {row[3] for row in rows if row[1] == "began" and (row[0], row[3]) not in ended}

    def some_on(self, node: str) -> list[str]:
        """The workers on this node, of which two at least run something."""

        def there() -> bool:
            pods = set(self.pods(node))
            return self.whole() and len(pods & self.running()) >= min(2, len(pods)) > 0

        kubectl = self.scene.kubectl
        self.busy_until(self.whole, "the fleet is whole")
        while not self.pods(node):
            # They are all on the other one since this one was away.
            kubectl.run("delete", "pod", *self.pods()[:2], "--wait=false")
            self.busy_until(self.whole, "the fleet is whole again")
        self.busy_until(there, f"workers run tasks on {node}")
        return self.pods(node)

    def count(self) -> dict[str, Any]:
        """What became of every task, once nothing moves any more."""
        self.scene.await_all_done()
        counted = figures(self.scene.tasks, self.scene.broker, QUEUE, self.ends)
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(counted) + "\n")
        return counted


@pytest.fixture
def stage(scene: Scene, request: pytest.FixtureRequest) -> Callable[..., Stage]:
    """Sets a fleet up."""

    def make(*, longest_s: float = 1.0, **worker: Any) -> Stage:
        made = Stage(scene, request.config.option.figures, longest_s=longest_s)
        made.start(**worker)
        return made

    return make


def test_a_drained_node_loses_nothing_cuts_nothing_repeats_nothing(
    stage: Callable[..., Stage], times: int
) -> None:
    here = stage()
    for number in range(times):
        node = (FAR, "light")[number % 2]
        here.busy_until(lambda: here.whole() and here.pods(), "the fleet is whole")
        with drained(here.scene, node):
            assert here.pods(node) == []
        here.busy_until(here.whole, "the fleet is whole again")
    assert_clean(here.count())


def test_an_evicted_worker_loses_nothing_cuts_nothing_repeats_nothing(
    stage: Callable[..., Stage], times: int
) -> None:
    here = stage()
    for _ in range(times):
        here.busy_until(lambda: here.whole() and here.running(), "the fleet is whole and works")
        evict(here.scene, pod := random.choice(here.pods()))
        here.busy_until(lambda pod=pod: gone(here.fleet, pod), f"{pod} is gone")
    assert_clean(here.count())


def test_a_worker_that_is_deleted_by_force_loses_nothing_and_only_what_it_ran_runs_again(
    stage: Callable[..., Stage], times: int
) -> None:
    # The kubelet gives such a pod a second or two.
    here = stage(longest_s=6.0, acks="late", unprovenDeathAfter=f"{SILENT_S:.0f}s")
    for _ in range(times):
        here.busy_until(lambda: here.whole() and here.running(), "the fleet is whole and works")
        pod = random.choice(sorted(here.running() & set(here.pods())) or here.pods())
        here.hit(pod)
        here.scene.kubectl.run("delete", "pod", pod, "--force", "--grace-period=0")
    assert_only_what_ran_runs_again(here.count())


def test_a_node_that_freezes_and_thaws_loses_nothing_and_only_what_it_held_runs_again(
    stage: Callable[..., Stage], times: int, own_nodes: LocalCluster
) -> None:
    here = stage(longest_s=4.0, acks="late", unprovenDeathAfter=f"{SILENT_S:.0f}s")
    for _ in range(times):
        pods = here.some_on(FAR)
        with frozen(own_nodes.nodes[FAR]):
            here.hit(*pods)
            here.busy_until_given_to_others(*pods)
    assert_only_what_ran_runs_again(here.count())


def test_a_node_that_is_gone_loses_nothing_and_only_what_it_ran_runs_again(
    stage: Callable[..., Stage], times: int, own_nodes: LocalCluster
) -> None:
    here = stage(longest_s=4.0, acks="late", unprovenDeathAfter=f"{SILENT_S:.0f}s")
    for _ in range(times):
        pods = here.some_on(FAR)
        with powerless(own_nodes, FAR):
            here.hit(*pods)
            here.busy_until_given_to_others(*pods)
            here.busy_until(
                lambda pods=pods: all(gone(here.fleet, pod) for pod in pods),
                "others are there in their place",
                300.0,
            )
        here.busy_until(here.whole, "the fleet is whole again")
    assert_only_what_ran_runs_again(here.count())


def assert_clean(counted: dict[str, Any]) -> None:
    wrong = {"lost", "run_twice", "run_again", "cut", "stranded"}
    assert {name: counted[name] for name in wrong if counted[name]} == {}


def assert_only_what_ran_runs_again(counted: dict[str, Any]) -> None:
    assert {n: counted[n] for n in ("lost", "run_twice", "stranded") if counted[n]} == {}


@contextmanager
def drained(scene: Scene, node: str) -> Iterator[None]:
    """Without workers, as before its machine is serviced; it takes some again afterwards."""
    try:
        scene.kubectl.run(
            *("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=100s"),
            f"--pod-selector=sluiceway.dev/taskqueue={QUEUE}",
        )
        yield
    finally:
        scene.kubectl.run("uncordon", node)


def evict(scene: Scene, pod: str) -> None:
    """As whoever needs its place asks for it."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": scene.namespace},
    }
    path = f"/api/v1/namespaces/{scene.namespace}/pods/{pod}/eviction"
    scene.kubectl.run("create", "--raw", path, "--filename", "-", stdin=json.dumps(body))


def gone(fleet: Fleet, pod: str) -> bool:
    """Whether there is no such pod any more."""
    return pod not in [one["metadata"]["name"] for one in fleet.pods()]


@contextmanager
def frozen(node: Node) -> Iterator[None]:
    """All that runs on it is stopped where it is."""
    node.freeze()
    try:
        yield
    finally:
        node.thaw()


@contextmanager
def powerless(cluster: LocalCluster, name: str) -> Iterator[None]:
    """It has lost its power, and is no node of the cluster; later it boots and joins again."""
    node = cluster.nodes[name]
    node.crash()
    try:
        cluster.kubectl.run("delete", "node", name)
        yield
    finally:
        node.start()
        node.join()
        cluster.kubectl.run("wait", f"node/{name}", "--for=create", "--timeout=90s")
        cluster.kubectl.run("wait", f"node/{name}", "--for=condition=Ready", "--timeout=90s")


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
