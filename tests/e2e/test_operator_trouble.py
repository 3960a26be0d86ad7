"""An operator that is killed, frozen, or gone: fleets end where they would have ended."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from stage.counting import CLEAN
from stage.operator import Operator
from stage.scene import Scene
from stage.until import until
from testcluster.local import LocalCluster
from testcluster.provider import Cluster

from tests.e2e.conftest import Rounds


def test_a_leader_that_is_killed_in_a_burst_is_followed_by_another_and_all_ends_well(
    scene: Scene,
    operator: Operator,
    cluster: Cluster,
    rounds: Rounds,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fleet = scene.fleet("exports", scaling={"maxReplicas": 4})
    took = []
    for _ in range(rounds.kills):
        scene.tasks.publish("exports", 16, seconds=0.5)
        time.sleep(random.uniform(0.0, 5.0))  # at any moment of the burst
        leader, term = operator.leader(), operator.lease()["leaseTransitions"]
        killed_at = time.monotonic()
        kill(cluster, operator, leader)
        until(
            lambda term=term: operator.lease()["leaseTransitions"] > term,  # type: ignore[misc]
            that="another one leads",
        )
        took.append(time.monotonic() - killed_at)
        # A new pod in its place: after many kills a kubelet waits for minutes with the old one.
        operator.kubectl.run("delete", "pod", leader, "--wait=false")
        scene.tasks.publish("exports", 16, seconds=0.5)
        operator.await_ready()
    scene.await_all_done()
    fleet.await_replicas(0)
    assert scene.tasks.tally() == CLEAN
    with capsys.disabled():
        print(f"\n{len(took)} killed leaders were followed after {min(took):.1f} to ", end="")
        print(f"{max(took):.1f} s; {len(scene.tasks.published)} tasks, none lost, cut or repeated")


def test_a_frozen_leader_that_thaws_does_nothing_more_and_all_ends_well(
    scene: Scene, operator: Operator, cluster: Cluster
) -> None:
    if not isinstance(cluster, LocalCluster):
        pytest.skip("only nodes of our own let us freeze a container")
    fleet = scene.fleet("exports", scaling={"maxReplicas": 4})
    scene.tasks.publish("exports", 24, seconds=0.5)
    leader, term = operator.leader(), operator.lease()["leaseTransitions"]
    with frozen(cluster, operator, leader):
        until(lambda: operator.lease()["leaseTransitions"] > term, that="another one leads")
        scene.tasks.publish("exports", 24, seconds=0.5)
    assert operator.leader() != leader
    scene.await_all_done()
    fleet.await_replicas(0)
    assert scene.tasks.tally() == CLEAN
    operator.await_ready()


def kill(cluster: Cluster, operator: Operator, pod: str) -> None:
    """End a pod's processes without a word; elsewhere than on our nodes they get one."""
    if isinstance(cluster, LocalCluster):
        on_container(cluster, operator, pod, "kill", "--signal=SIGKILL")
    else:
        operator.kubectl.run("delete", "pod", pod, "--grace-period=0", "--force")


@contextmanager
def frozen(cluster: LocalCluster, operator: Operator, pod: str) -> Iterator[None]:
    """Stop a pod's processes where they are, without their knowing."""
    on_container(cluster, operator, pod, "pause")
    try:
        yield
    finally:
        on_container(cluster, operator, pod, "resume")


def on_container(cluster: LocalCluster, operator: Operator, pod: str, *command: str) -> None:
    """What containerd can do to a pod's one container."""
    stored = operator.kubectl.get("pod", pod)
    node = cluster.nodes[stored["spec"]["nodeName"]]
    container = stored["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    node.command("ctr", "--namespace=k8s.io", "tasks", *command, container)
