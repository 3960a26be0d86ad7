"""What the operator writes to Deployments and pods, on a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace

from sluiceway.act.deployments import DELETION_COST, GOES_FIRST, Deployments, NotLeadingError
from sluiceway.kube.client import KubeClient
from sluiceway.kube.errors import CONFLICT, KubeError
from sluiceway.kube.views import Deployment

NAME = "exports-worker"


def manifest(namespace: str, image: str = "shop:1") -> dict[str, Any]:
    labels = {"app": "exports"}
    container = {"name": "worker", "image": image}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(control_plane.credentials.kubeconfig()) as connected:
        yield connected


@pytest.fixture
def write(client: KubeClient) -> Deployments:
    return Deployments(client, may_act=lambda: True)


class Hand:
    """What an administrator sees and does."""

    def __init__(self, namespace: Namespace) -> None:
        self.kubectl = namespace.kubectl
        self.manifest = manifest(namespace.name)
        self.newer = manifest(namespace.name, image="shop:2")

    def see(self) -> Deployment:
        return msgspec.convert(self.kubectl.get("deployment", NAME), Deployment, strict=False)

    def image(self) -> str:
        spec = self.kubectl.get("deployment", NAME)["spec"]["template"]["spec"]
        return str(spec["containers"][0]["image"])

    def scale(self, number: int) -> None:
        self.kubectl.run("scale", f"deployment/{NAME}", f"--replicas={number}")


@pytest.fixture
def hand(namespace: Namespace) -> Hand:
    return Hand(namespace)


async def test_a_deployment_is_made_without_a_worker_by_one_request(
    write: Deployments, hand: Hand, client: KubeClient
) -> None:
    asked: list[str] = []
    client.told = lambda method, code: asked.append(method)
    await write.create(hand.manifest)
    assert asked == ["PATCH"]
    assert hand.see().spec.replicas == 0


async def test_a_new_spec_leaves_a_fleet_at_zero_that_was_never_scaled(
    write: Deployments, hand: Hand
) -> None:
    await write.create(hand.manifest)
    for number in (2, 3):
        await write.apply(
            manifest(hand.manifest["metadata"]["namespace"], f"shop:{number}"), has_none=True
        )
        assert (hand.see().spec.replicas, hand.image()) == (0, f"shop:{number}")
    await write.scale(hand.see(), 4)
    assert hand.see().spec.replicas == 4


async def test_a_number_that_changed_while_nobody_looked_survives_a_new_spec(
    write: Deployments, hand: Hand
) -> None:
    await write.create(hand.manifest)
    await write.scale(hand.see(), 5)
    await write.apply(hand.newer, has_none=True)
    assert (hand.see().spec.replicas, hand.image()) == (5, "shop:2")


async def test_a_fleet_that_went_to_zero_and_got_a_new_spec_can_grow_again(
    write: Deployments, hand: Hand
) -> None:
    await write.create(hand.manifest)
    await write.scale(hand.see(), 5)
    await write.scale(hand.see(), 0)
    await write.apply(hand.newer, has_none=True)
    assert hand.see().spec.replicas == 0
    await write.scale(hand.see(), 3)
    await write.apply(hand.manifest, has_none=False)
    assert hand.see().spec.replicas == 3


async def test_a_change_that_is_not_of_the_number_does_not_keep_it_from_being_written(
    write: Deployments, hand: Hand
) -> None:
    await write.create(hand.manifest)
    seen = hand.see()
    hand.kubectl.run("label", f"deployment/{NAME}", "team=shop")
    await write.scale(seen, 3)
    assert hand.see().spec.replicas == 3


async def test_a_number_that_somebody_else_has_changed_since_is_not_overwritten(
    write: Deployments, hand: Hand
) -> None:
    await write.create(hand.manifest)
    seen = hand.see()
    hand.scale(7)
    with pytest.raises(KubeError) as refusal:
        await write.scale(seen, 3)
    assert refusal.value.status == CONFLICT
    assert hand.see().spec.replicas == 7


async def test_who_does_not_lead_writes_nothing(
    write: Deployments, hand: Hand, client: KubeClient
) -> None:
    await write.create(hand.manifest)
    deposed = Deployments(client, may_act=lambda: False)
    with pytest.raises(NotLeadingError):
        await deposed.scale(hand.see(), 3)
    with pytest.raises(NotLeadingError):
        await deposed.apply(hand.newer, has_none=False)
    with pytest.raises(NotLeadingError):
        await deposed.mark(hand.manifest["metadata"]["namespace"], "pod", goes_first=True)
    assert (hand.see().spec.replicas, hand.image()) == (0, "shop:1")


async def test_a_dry_run_has_the_spec_checked_and_changes_nothing(
    write: Deployments, hand: Hand, client: KubeClient
) -> None:
    dry = Deployments(client, may_act=lambda: True, dry_run=True)
    await dry.create(hand.manifest)
    assert hand.kubectl.try_run("get", "deployment", NAME).code != 0
    await write.create(hand.manifest)
    assert not await dry.scale(hand.see(), 3)
    wrong = manifest(hand.manifest["metadata"]["namespace"])
    wrong["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    with pytest.raises(KubeError, match="restartPolicy"):
        await dry.apply(wrong, has_none=True)
    assert hand.see().spec.replicas == 0


async def test_a_pod_is_marked_and_the_mark_is_taken_back(
    write: Deployments, hand: Hand, namespace: Namespace
) -> None:
    hand.kubectl.run("run", "worker-1", "--image=shop:1")
    await write.mark(namespace.name, "worker-1", goes_first=True)
    pod = hand.kubectl.get("pod", "worker-1")
    assert pod["metadata"]["annotations"][DELETION_COST] == GOES_FIRST
    await write.mark(namespace.name, "worker-1", goes_first=False)
    pod = hand.kubectl.get("pod", "worker-1")
    assert DELETION_COST not in pod["metadata"].get("annotations", {})
