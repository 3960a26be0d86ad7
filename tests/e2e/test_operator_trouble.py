"""An operator that is killed, frozen, cut off: fleets end where they would have ended."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stage.counting import CLEAN
from stage.fleet import Fleet
from stage.operator import ACCOUNT, Operator
from stage.scene import Scene
from stage.until import until
from stage.verdict import figures, write_down
from testcluster import audit
from testcluster.local import LocalCluster
from testcluster.node import Node
from testcluster.provider import Cluster

from tests.e2e.conftest import Rounds

FLEET_WRITES = frozenset({"deployments", "deployments/scale", "pods"})


@pytest.fixture
def own_nodes(cluster: Cluster) -> LocalCluster:
    """Nodes of our own: only there can a container be frozen or a pod be cut off."""
    if not isinstance(cluster, LocalCluster):
        pytest.skip("only on nodes of our own")
    return cluster


@pytest.fixture
def fleet(scene: Scene) -> Fleet:
    """A fleet of up to four workers; none of them is needed yet."""
    fleet = scene.fleet("exports", scaling={"maxReplicas": 4})
    fleet.await_condition("Waking")
    return fleet


@contextmanager
def ending_well(scene: Scene, fleet: Fleet, cluster: Cluster) -> Iterator[None]:
    """Afterwards all is as it would be without trouble: no task is lost, cut or repeated, the
    fleet rests as before, and nobody has moved it but who led at that moment."""
    before = fleet.at_rest()
    yield
    scene.await_all_done()
    until(lambda: fleet.at_rest() == before, that="all is as it was without trouble")
    assert scene.tasks.tally() == CLEAN
    if isinstance(cluster, LocalCluster):
        written = writes(cluster)
        moved = [one for one in written if one.namespace == scene.namespace]
        assert [one for one in moved if one.resource in FLEET_WRITES] != []
        assert strays(written, scene.namespace) == []


def writes(cluster: LocalCluster) -> list[audit.Write]:
    """All that the operator has changed."""
    return audit.writes(cluster.control_plane.audit_log, ACCOUNT)


def scalings(scene: Scene, cluster: LocalCluster) -> list[audit.Write]:
    """Each time that another number of workers was asked for in this scene."""
    asked = ("deployments/scale", scene.namespace)
    return [one for one in writes(cluster) if (one.resource, one.namespace) == asked]


def strays(written: list[audit.Write], namespace: str) -> list[audit.Write]:
    """Changes of fleets by another pod than the one that wrote the Lease last."""
    leader, found = "", []
    for one in written:
        if one.resource == "leases":
            leader = one.pod
        elif one.namespace == namespace and one.resource in FLEET_WRITES and one.pod != leader:
            found.append(one)
    return found


class Takeover:
    """How long it takes until another replica leads, from the moment that this is made."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self.leader = operator.leader()
        self._term = operator.lease()["leaseTransitions"]
        self._begun_at = time.monotonic()

    def wait(self) -> float:
        """Return when another one leads: seconds."""
        until(
            lambda: self._operator.lease()["leaseTransitions"] > self._term,
            that="another one leads",
        )
        return time.monotonic() - self._begun_at


def test_a_leader_that_is_killed_in_a_burst_is_followed_by_another_and_all_ends_well(
    scene: Scene,
    fleet: Fleet,
    operator: Operator,
    cluster: Cluster,
    rounds: Rounds,
    figures_file: Path | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    took = []
    with ending_well(scene, fleet, cluster):
        for _ in range(rounds.kills):
            scene.tasks.publish("exports", 16, seconds=0.5)
            time.sleep(random.uniform(0.0, 5.0))  # at any moment of the burst
            takeover = Takeover(operator)
            kill(cluster, operator, takeover.leader)
            took.append(takeover.wait())
            # A new pod in its place: after many kills a kubelet waits for minutes with the old one.
            operator.kubectl.run("delete", "pod", takeover.leader, "--wait=false")
            scene.tasks.publish("exports", 16, seconds=0.5)
            operator.await_ready()
        scene.await_all_done()
        counted = figures(scene.tasks, scene.broker, "exports", {})
        write_down(counted | {"led_s": [round(one, 1) for one in took]}, figures_file)
    with capsys.disabled():
        print("\nkilled leaders were followed after", *(f"{one:.1f}" for one in took), end=" s; ")
        print(f"{len(scene.tasks.published)} tasks, {scene.tasks.tally()}")


def test_a_frozen_leader_that_thaws_does_nothing_more_and_all_ends_well(
    scene: Scene,
    fleet: Fleet,
    operator: Operator,
    own_nodes: LocalCluster,
    rounds: Rounds,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ending_well(scene, fleet, own_nodes):
        scene.tasks.publish("exports", 24, seconds=0.5)
        takeover = Takeover(operator)
        with frozen(own_nodes, operator, takeover.leader):
            took = takeover.wait()
            scene.tasks.publish("exports", 24, seconds=0.5)
            time.sleep(max(0.0, rounds.frozen_s - took))
            assert operator.leader() != takeover.leader
        scene.await_all_done()
    operator.await_ready()
    with capsys.disabled():
        print(f"\na frozen leader was followed after {took:.1f} s")


def test_a_leader_that_the_api_server_refuses_stops_acting_and_all_ends_well(
    scene: Scene,
    fleet: Fleet,
    operator: Operator,
    own_nodes: LocalCluster,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ending_well(scene, fleet, own_nodes):
        scene.tasks.publish("exports", 24, seconds=0.5)
        takeover = Takeover(operator)
        with cut_off(own_nodes, operator, takeover.leader):
            took = takeover.wait()
            # Its own word to the broker would count for nothing either.
            scene.tasks.publish("exports", 24, seconds=0.5)
            scene.await_all_done()
            assert operator.leader() != takeover.leader
    operator.await_ready()
    with capsys.disabled():
        print(f"\na leader that was cut off was followed after {took:.1f} s")


def test_an_api_server_that_goes_and_comes_back_moves_no_fleet_and_is_followed_again(
    scene: Scene, fleet: Fleet, operator: Operator, own_nodes: LocalCluster, rounds: Rounds
) -> None:
    with ending_well(scene, fleet, own_nodes):
        scene.patch("exports", scaling={"target": {"backlogPerReplica": 1}})
        scene.tasks.hold("exports", 4)
        until(lambda: scene.tasks.begun() == 4, that="four tasks run")
        before = scalings(scene, own_nodes)
        stopped_at = datetime.now(UTC).isoformat()
        own_nodes.control_plane.stop_api_server()
        # What must not happen has no event to wait for.
        time.sleep(rounds.api_away_s)
        own_nodes.control_plane.start_api_server()
        until(
            lambda: "is true again" in operator.logs(f"--since-time={stopped_at}"),
            that="the operator says that it sees again",
        )
        operator.await_ready()
        assert scalings(scene, own_nodes) == before
        scene.broker.reach_again()
        scene.ledger.reach_again()
        scene.tasks.release()


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


@contextmanager
def cut_off(cluster: LocalCluster, operator: Operator, pod: str) -> Iterator[None]:
    """Refuse what a pod sends to the API server, on connections that it has, too."""
    node = node_of(cluster, operator, pod)
    address = operator.kubectl.get("pod", pod)["status"]["podIP"]
    way = ("--source", address, "--destination", cluster.control_plane.address)
    refuse = ("--protocol", "tcp", "--jump", "REJECT", "--reject-with", "tcp-reset")
    rule = ("FORWARD", *way, *refuse)
    node.command("iptables", "--wait", "--insert", *rule)
    try:
        yield
    finally:
        node.command("iptables", "--wait", "--delete", *rule)


def on_container(cluster: LocalCluster, operator: Operator, pod: str, *command: str) -> None:
    """What containerd can do to a pod's one container."""
    stored = operator.kubectl.get("pod", pod)
    container = stored["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    node = node_of(cluster, operator, pod)
    node.command("ctr", "--namespace=k8s.io", "tasks", *command, container)


def node_of(cluster: LocalCluster, operator: Operator, pod: str) -> Node:
    """The node that a pod runs on."""
    return cluster.nodes[operator.kubectl.get("pod", pod)["spec"]["nodeName"]]
