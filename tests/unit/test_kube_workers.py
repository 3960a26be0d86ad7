"""Which pods are a fleet's workers, and when its generations are changing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from sluiceway.kube.views import (
    Condition,
    ContainerStatus,
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    LabelledMetadata,
    OwnerReference,
    Pod,
    PodMetadata,
    PodStatus,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    Selector,
    VersionedMetadata,
)
from sluiceway.kube.workers import pods_of, replica_sets_of, rolling_out, running_workers

LABELS = {"app": "video"}


def fleet(*, generation: int = 1, observed: int = 1) -> Deployment:
    return Deployment(
        metadata=VersionedMetadata(
            name="video", namespace="shop", uid="fleet", generation=generation
        ),
        spec=DeploymentSpec(selector=Selector(match_labels=LABELS)),
        status=DeploymentStatus(observed_generation=observed),
    )


def replica_set(uid: str, *, owner: str = "fleet", wanted: int = 0, there: int = 0) -> ReplicaSet:
    return ReplicaSet(
        metadata=LabelledMetadata(
            name=uid,
            namespace="shop",
            uid=uid,
            owner_references=(OwnerReference(kind="Deployment", uid=owner, controller=True),),
        ),
        spec=ReplicaSetSpec(replicas=wanted),
        status=ReplicaSetStatus(replicas=there),
    )


def pod(name: str, *, owner: str = "new", created: float = 1000.0, **metadata: Any) -> Pod:
    return Pod(
        metadata=PodMetadata(
            name=name,
            namespace="shop",
            labels=metadata.pop("labels", LABELS),
            owner_references=(OwnerReference(kind="ReplicaSet", uid=owner, controller=True),),
            creation_timestamp=datetime.fromtimestamp(created, UTC),
            **metadata,
        )
    )


def test_pods_of_both_generations_are_the_fleets() -> None:
    sets = (replica_set("old"), replica_set("new"), replica_set("other", owner="web"))
    pods = (pod("a", owner="old"), pod("b", owner="new"), pod("c", owner="other"))
    assert [one.metadata.name for one in pods_of(fleet(), sets, pods)] == ["a", "b"]
    assert [one.metadata.name for one in replica_sets_of(fleet(), sets)] == ["old", "new"]


def test_a_pod_that_is_seen_before_its_replica_set_is_taken_by_the_selector() -> None:
    pods = (pod("a", owner="unseen"), pod("b", owner="unseen", labels={"app": "web"}))
    assert [one.metadata.name for one in pods_of(fleet(), (), pods)] == ["a"]


def test_a_pod_of_another_deployment_with_the_same_labels_is_not_the_fleets() -> None:
    assert pods_of(fleet(), (replica_set("other", owner="twin"),), (pod("a", owner="other"),)) == ()


def test_a_pod_that_nobody_manages_is_no_worker() -> None:
    lone = Pod(metadata=PodMetadata(name="debug", namespace="shop", labels=LABELS))
    assert pods_of(fleet(), (), (lone,)) == ()


def test_workers_are_told_the_oldest_first_with_their_age() -> None:
    workers = running_workers((pod("young", created=2000.0), pod("old", created=1000.0)))
    assert [(one.name, one.created_at) for one in workers] == [("old", 1000.0), ("young", 2000.0)]


@pytest.mark.parametrize(("status", "ready"), [("True", True), ("False", False)])
def test_a_worker_is_ready_when_its_pod_says_so(status: str, ready: bool) -> None:
    conditions = (Condition(type="Ready", status=status),)
    one = Pod(metadata=PodMetadata(name="a"), status=PodStatus(conditions=conditions))
    assert running_workers((one,))[0].ready is ready


def test_a_worker_that_was_told_to_go_is_stopping() -> None:
    (worker,) = running_workers((pod("a", deletion_timestamp=datetime.now(UTC)),))
    assert worker.stopping


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_an_evicted_pod_is_no_worker_though_its_object_stays(phase: str) -> None:
    assert running_workers((Pod(status=PodStatus(phase=phase)),)) == ()


def test_two_replica_sets_with_pods_are_a_rollout() -> None:
    sets = (replica_set("old", there=2), replica_set("new", wanted=2))
    assert rolling_out(fleet(), sets)


def test_one_replica_set_with_pods_is_no_rollout_however_many_are_empty() -> None:
    sets = (replica_set("old"), replica_set("older"), replica_set("new", wanted=2, there=2))
    assert not rolling_out(fleet(), sets)


def test_a_change_that_the_controller_has_not_looked_at_may_be_a_rollout() -> None:
    assert rolling_out(fleet(generation=2, observed=1), (replica_set("new", there=2),))


def test_a_start_that_was_held_up_or_is_not_the_first_is_no_measure() -> None:
    restarted = msgspec.structs.replace(
        pod("restarted"), status=PodStatus(container_statuses=(ContainerStatus(restart_count=1),))
    )
    found = running_workers((pod("good"), pod("hindered"), restarted), hindered={"hindered"})
    assert {one.name for one in found if one.start_counts} == {"good"}
