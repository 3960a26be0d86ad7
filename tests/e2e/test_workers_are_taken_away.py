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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from stage.fleet import Fleet
from stage.scene import Scene
from stage.under_work import QUEUE, UnderWork
from testcluster.local import LocalCluster
from testcluster.node import Node
from testcluster.provider import Cluster

FAR = "high-cpu"
"""The node that fails; broker, ledger and operator are on the other."""
SILENT_S = 20.0
"""So long a worker that proves nothing is waited for."""


@pytest.fixture
def own_nodes(cluster: Cluster) -> LocalCluster:
    """Nodes of our own: only those can be frozen, or lose their power."""
    if not isinstance(cluster, LocalCluster):
        pytest.skip("only on nodes of our own")
    return cluster


def test_a_drained_node_loses_nothing_cuts_nothing_repeats_nothing(
    stage: Callable[..., UnderWork], times: int
) -> None:
    here = stage()
    for number in range(times):
        node = (FAR, "light")[number % 2]
        here.busy_until(lambda: here.whole() and here.pods(), "the fleet is whole")
        with drained(here, node):
            assert here.pods(node) == []
        here.busy_until(here.whole, "the fleet is whole again")
    assert_clean(here.count())


def test_an_evicted_worker_loses_nothing_cuts_nothing_repeats_nothing(
    stage: Callable[..., UnderWork], times: int
) -> None:
    here = stage()
    for _ in range(times):
        here.busy_until(lambda: here.whole() and here.running(), "the fleet is whole and works")
        evict(here.scene, pod := random.choice(here.pods()))
        here.busy_until(lambda pod=pod: gone(here.fleet, pod), f"{pod} is gone")
    assert_clean(here.count())


def test_a_worker_that_is_deleted_by_force_loses_nothing_and_only_what_it_ran_runs_again(
    stage: Callable[..., UnderWork], times: int
) -> None:
    # The kubelet gives such a pod a second or two.
    here = stage(longest_s=6.0, acks="late", unprovenDeathAfter=f"{SILENT_S:.0f}s")
    for _ in range(times):
        here.busy_until(lambda: here.whole() and here.running(), "the fleet is whole and works")
        pod = random.choice(sorted(here.running() & set(here.pods())) or here.pods())
        here.deleted[pod] = time.time()
        here.scene.kubectl.run("delete", "pod", pod, "--force", "--grace-period=0")
    assert_only_what_ran_runs_again(here.count())


def test_a_node_that_freezes_and_thaws_loses_nothing_and_only_what_it_held_runs_again(
    stage: Callable[..., UnderWork], times: int, own_nodes: LocalCluster
) -> None:
    here = stage(longest_s=4.0, acks="late", unprovenDeathAfter=f"{SILENT_S:.0f}s")
    for _ in range(times):
        pods = here.some_on(FAR)
        with frozen(own_nodes.nodes[FAR]):
            here.hit(*pods)
            here.busy_until_given_to_others(*pods)
    assert_only_what_ran_runs_again(here.count())


def test_a_node_that_is_gone_loses_nothing_and_only_what_it_ran_runs_again(
    stage: Callable[..., UnderWork], times: int, own_nodes: LocalCluster
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
def drained(here: UnderWork, node: str) -> Iterator[None]:
    """Without workers, as before its machine is serviced; it takes some again afterwards."""
    kubectl = here.scene.kubectl
    how = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=100s")
    which = f"--pod-selector=sluiceway.dev/taskqueue={QUEUE}"
    try:
        with ThreadPoolExecutor(1) as beside:
            drain = beside.submit(kubectl.run, "drain", node, *how, which)
            here.busy_until(drain.done, f"{node} is drained")
            drain.result()
        yield
    finally:
        kubectl.run("uncordon", node)


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
