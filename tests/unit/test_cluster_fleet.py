"""A fleet of pods is lowered in steps, each seen before the next: marks, number, going."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from sluiceway.act.deployments import GOES_FIRST
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.cluster.fleet import DeploymentFleet
from sluiceway.kube.errors import KubeError
from sluiceway.kube.views import Deployment, Pod, ReplicaSet
from sluiceway.observe import Watched


@dataclass
class Watch:
    objects: dict[str, Any] = field(default_factory=dict)
    fresh: bool = True
    problem: str | None = None


@dataclass
class Pods:
    here: dict[str, Pod] = field(default_factory=dict)
    sets: tuple[ReplicaSet, ...] = ()
    watches: tuple[Watch, ...] = ()

    def of(self, deployment: Deployment, label: str) -> tuple[tuple[ReplicaSet, ...], Any]:
        return self.sets, tuple(self.here.values())


@dataclass
class Writes:
    """Notes what is written; the world follows when the test lets it."""

    scaled: list[int] = field(default_factory=list)
    marked: list[tuple[str, bool]] = field(default_factory=list)
    refusal: KubeError | None = None

    async def scale(self, deployment: Deployment, replicas: int) -> bool:
        if self.refusal is not None:
            raise self.refusal
        self.scaled.append(replicas)
        return True

    async def mark(self, namespace: str, pod: str, *, goes_first: bool) -> None:
        self.marked.append((pod, goes_first))


def pod(name: str, *, marked: bool = False, stopping: bool = False) -> Pod:
    meta: dict[str, Any] = {"name": name, "namespace": "shop"}
    if marked:
        meta["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": GOES_FIRST}
    if stopping:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return msgspec.convert({"metadata": meta, "status": {"phase": "Running"}}, Pod)


class World:
    def __init__(self, hints: bool = True) -> None:
        self.deployments = Watch()
        self.pods = Pods(watches=(Watch(), Watch()))
        self.writes = Writes()
        self.otherwise: list[int] = []
        self.generation = 0
        spec = {"worker": {"app": "shop", "image": "shop:1"}}
        taskqueue = TaskQueue.from_outside(
            {
                "apiVersion": "sluiceway.dev/v1alpha1",
                "kind": "TaskQueue",
                "metadata": {"name": "exports", "namespace": "shop"},
                "spec": spec,
            }
        )
        self.fleet = DeploymentFleet(
            Watched.of(taskqueue, "redis://redis:6379/0"),
            deployment="shop/exports-worker",
            owner="u1",
            label="exports",
            hints=hints,
            deployments=self.deployments,  # type: ignore[arg-type]
            pods=self.pods,  # type: ignore[arg-type]
            write=self.writes,  # type: ignore[arg-type]
            went_otherwise=self.otherwise.append,
        )

    def asks_for(self, replicas: int, owner: str = "u1") -> None:
        """The watch shows this number, which is a change of the Deployment."""
        self.generation += 1
        self.deployments.objects["shop/exports-worker"] = msgspec.convert(
            {
                "metadata": {
                    "name": "exports-worker",
                    "namespace": "shop",
                    "generation": self.generation,
                    "ownerReferences": [{"uid": owner, "controller": True}],
                },
                "spec": {"replicas": replicas},
            },
            Deployment,
        )

    def has(self, *pods: Pod) -> None:
        self.pods.here = {one.metadata.name: one for one in pods}


@pytest.fixture
def world() -> World:
    return World()


async def test_more_workers_are_asked_for_at_once(world: World) -> None:
    world.asks_for(0)
    await world.fleet.scale(20, ())
    assert world.writes.scaled == [20]


async def test_the_number_falls_only_once_our_own_watch_shows_the_marks(world: World) -> None:
    world.asks_for(3)
    world.has(pod("a"), pod("b"), pod("c"))
    await world.fleet.scale(1, ("a", "b"))
    assert world.writes.marked == [("a", True), ("b", True)]
    assert world.writes.scaled == []

    world.has(pod("a", marked=True), pod("b"), pod("c"))
    await world.fleet.scale(1, ("a", "b"))
    assert world.writes.scaled == [2], "as many as are marked"


async def test_one_drained_worker_lowers_the_number_once(world: World) -> None:
    world.asks_for(2)
    world.has(pod("a", marked=True), pod("b"), pod("c"))  # 3 → 2 is under way
    await world.fleet.scale(1, ("a",))
    assert world.writes.scaled == []

    world.has(pod("a", marked=True, stopping=True), pod("b"), pod("c", marked=True))
    await world.fleet.scale(1, ("c",))
    assert world.writes.scaled == [1]


async def test_who_was_let_go_is_leaving_until_kubernetes_has_told_somebody(world: World) -> None:
    world.asks_for(2)
    world.has(pod("a", marked=True), pod("b"))
    await world.fleet.scale(1, ("a",))
    world.asks_for(1)
    assert world.fleet.leaving == {"a"}

    world.has(pod("a", marked=True, stopping=True), pod("b"))
    assert world.fleet.leaving == frozenset()
    assert world.otherwise == []


async def test_nothing_more_is_written_before_our_own_watch_shows_the_number(
    world: World,
) -> None:
    world.asks_for(3)
    world.has(pod("a", marked=True), pod("b", marked=True), pod("c"))
    await world.fleet.scale(2, ("a",))
    assert world.fleet.leaving == {"a"}, "no answer yet, though no pod is in excess"
    await world.fleet.scale(1, ("a", "b"))
    await world.fleet.scale(5, ())
    assert world.writes.scaled == [2]
    assert world.otherwise == []


async def test_who_is_not_marked_yet_is_not_let_go_with_those_that_are(world: World) -> None:
    world.asks_for(3)
    world.has(pod("a", marked=True), pod("b"), pod("c"))
    await world.fleet.scale(1, ("a", "b"))
    world.asks_for(2)
    assert world.fleet.leaving == {"a"}

    world.has(pod("a", marked=True, stopping=True), pod("b", marked=True), pod("c"))
    assert world.fleet.leaving == frozenset()
    assert world.otherwise == []


async def test_of_two_marked_ones_kubernetes_may_take_either(world: World) -> None:
    world.asks_for(3)
    world.has(pod("a", marked=True), pod("b"), pod("c"))
    await world.fleet.scale(1, ("a", "b"))
    world.asks_for(2)
    world.has(pod("a", marked=True), pod("b", marked=True, stopping=True), pod("c"))
    assert world.fleet.leaving == frozenset()
    assert world.otherwise == []


async def test_a_number_of_ours_that_kubernetes_has_not_looked_at_is_no_rollout(
    world: World,
) -> None:
    world.asks_for(2)
    assert world.fleet.rolling_out, "somebody's change may be a new generation of workers"
    world.has(pod("a", marked=True), pod("b"))
    await world.fleet.scale(1, ("a",))
    world.asks_for(1)
    assert not world.fleet.rolling_out


async def test_a_pod_that_kubernetes_chose_in_place_of_the_drained_one_is_counted(
    world: World,
) -> None:
    world.asks_for(2)
    world.has(pod("a", marked=True), pod("b"))
    await world.fleet.scale(1, ("a",))
    world.asks_for(1)
    world.has(pod("a", marked=True), pod("b", stopping=True))
    assert world.fleet.leaving == frozenset()
    assert world.otherwise == [1]


async def test_a_worker_that_is_called_back_loses_its_mark(world: World) -> None:
    world.asks_for(2)
    world.has(pod("a", marked=True), pod("b"))
    assert world.fleet.marked == {"a"}
    await world.fleet.scale(2, ())
    assert world.writes.marked == [("a", False)]


async def test_a_view_that_is_not_true_moves_nothing(world: World) -> None:
    world.asks_for(2)
    world.has(pod("a", marked=True), pod("b"))
    world.pods.watches[0].fresh = False
    world.pods.watches[0].problem = "the view of pods is stale: nothing listens there"
    await world.fleet.scale(5, ())
    await world.fleet.scale(1, ("a",))
    assert world.writes.scaled == []
    assert world.fleet.trouble == "the view of pods is stale: nothing listens there"


async def test_somebody_elses_change_of_the_number_is_decided_on_anew(world: World) -> None:
    world.asks_for(2)
    world.writes.refusal = KubeError("it refuses: the object has been modified", status=409)
    await world.fleet.scale(5, ())
    world.writes.refusal = KubeError("a permission is missing", status=403)
    with pytest.raises(KubeError, match="permission"):
        await world.fleet.scale(5, ())


async def test_the_pods_of_a_teams_own_deployment_are_not_touched_unless_it_says_so() -> None:
    world = World(hints=False)
    world.asks_for(2)
    world.has(pod("a"), pod("b"))
    await world.fleet.scale(1, ("a",))
    assert world.writes.marked == []
    assert world.writes.scaled == [1]


async def test_a_fleet_without_a_deployment_has_nobody_and_is_not_scaled(world: World) -> None:
    assert world.fleet.replicas == 0
    assert world.fleet.workers() == ()
    await world.fleet.scale(3, ())
    assert world.writes.scaled == []


async def test_a_deployment_of_the_same_name_that_is_anothers_is_not_scaled(world: World) -> None:
    world.asks_for(2, owner="u2")
    assert world.fleet.replicas == 0
    await world.fleet.scale(5, ())
    assert world.writes.scaled == []


async def test_a_number_that_was_written_counts_before_our_own_watch_shows_it(
    world: World,
) -> None:
    world.asks_for(0)
    await world.fleet.scale(5, ())
    assert world.fleet.replicas == 5
    await world.fleet.scale(7, ())
    assert world.writes.scaled == [5], "one after the other"
