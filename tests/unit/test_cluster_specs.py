"""What is known of the TaskQueues and WorkerClasses that the handlers told of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from sluiceway.cluster.specs import Specs


def body(name: str = "exports", *, generation: int = 1, uid: str = "u1", **spec: Any) -> Any:
    return {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": name, "namespace": "shop", "uid": uid, "generation": generation},
        "spec": {"worker": {"app": "shop", "image": "shop:1"}, **spec},
    }


def workerclass(name: str, **spec: Any) -> Any:
    return {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "WorkerClass",
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.fixture
def told() -> list[Collection[str]]:
    return []


@pytest.fixture
def specs(told: list[Collection[str]]) -> Specs:
    specs = Specs()
    specs.listen(told.append)
    return specs


def test_nobody_is_told_before_everything_that_exists_is_known(
    specs: Specs, told: list[Collection[str]]
) -> None:
    specs.put_taskqueue(body())
    specs.put_class(workerclass("light"))
    assert told == []
    specs.now_complete()
    assert told == [{"shop/exports"}]


def test_a_status_that_comes_back_is_no_change_of_the_spec(
    specs: Specs, told: list[Collection[str]]
) -> None:
    specs.now_complete()
    specs.put_taskqueue(body())
    told.clear()
    specs.put_taskqueue({**body(), "status": {"waiting": 3}})
    assert told == []
    assert specs.taskqueues["shop/exports"].status == b'{"waiting":3}'


def test_one_that_cannot_be_used_is_kept_with_its_problems(specs: Specs) -> None:
    schedule = {"cron": "99 * * * *", "duration": "1h", "minReplicas": 2}
    specs.put_taskqueue(body(scaling={"schedules": [schedule]}))
    kept = specs.taskqueues["shop/exports"]
    assert kept.taskqueue is None
    assert "spec.scaling.schedules[0].cron" in str(kept.problems[0])


def test_a_late_word_of_the_end_of_an_earlier_one_does_not_remove_its_successor(
    specs: Specs,
) -> None:
    specs.put_taskqueue(body(uid="second"))
    specs.remove_taskqueue("shop/exports", "first")
    assert "shop/exports" in specs.taskqueues
    specs.remove_taskqueue("shop/exports", "second")
    assert "shop/exports" not in specs.taskqueues


def test_a_class_that_comes_changes_or_goes_concerns_every_taskqueue(
    specs: Specs, told: list[Collection[str]]
) -> None:
    specs.put_taskqueue(body())
    specs.now_complete()
    told.clear()
    specs.put_class(workerclass("light", nodeSelector={"pool": "light"}))
    specs.put_class(workerclass("light", nodeSelector={"pool": "other"}))
    specs.remove_class("light")
    assert told == [{"shop/exports"}] * 3
    assert specs.classes == {}
