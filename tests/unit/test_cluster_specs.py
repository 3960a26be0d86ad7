"""What is known of the TaskQueues and WorkerClasses that the handlers told of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.api.validate import judge
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
    assert specs.statuses["shop/exports"] == b'{"waiting":3}'


def test_the_status_of_one_that_is_gone_is_kept_no_longer(specs: Specs) -> None:
    specs.put_taskqueue({**body(), "status": {"waiting": 3}})
    specs.remove_taskqueue("shop/exports", "u1")
    assert specs.statuses == {}


def test_what_several_have_in_common_is_kept_once_and_each_says_what_is_written_in_it(
    specs: Specs,
) -> None:
    written = {
        "exports": {"scaling": {"maxReplicas": 4, "target": {"maxWait": "30s"}}},
        "mails": {"scaling": {"maxReplicas": 9, "target": {"maxWait": "30s"}}},
        "alike": {"scaling": {"target": {"maxWait": "30s"}, "maxReplicas": 4}},
        "other": {"broker": {"url": "redis://other:6379/0", "keyPrefix": "x:"}},
        "plain": {},
    }
    for name, spec in written.items():
        specs.put_taskqueue(body(name, uid=name, **spec))

    kept = {name: specs.taskqueues[f"shop/{name}"].taskqueue for name in written}
    for name, taskqueue in kept.items():
        alone = judge(body(name, uid=name, **written[name]), in_cluster=True).object
        assert taskqueue == alone
        assert isinstance(taskqueue, TaskQueue)
        assert taskqueue.to_outside() == alone.to_outside()
    exports, mails, alike = (one.spec for one in list(kept.values())[:3] if one is not None)
    assert alike.scaling is exports.scaling
    assert mails.scaling.target is exports.scaling.target
    assert mails.worker is exports.worker
    assert mails.broker is exports.broker


def test_of_what_the_api_server_keeps_with_an_object_only_what_is_read_stays(
    specs: Specs,
) -> None:
    managed = [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]
    one = body()
    specs.put_taskqueue({**one, "metadata": {**one["metadata"], "managedFields": managed}})
    kept = specs.taskqueues["shop/exports"].taskqueue
    assert kept is not None
    assert not kept.metadata.model_extra


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
