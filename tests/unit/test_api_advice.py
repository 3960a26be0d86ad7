"""What is allowed and probably not meant: told, and never a reason to refuse."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.api.validate import judge


def advice(*, in_cluster: bool = False, **spec: Any) -> list[str]:
    spec.setdefault("worker", {"app": "shop.tasks", "image": "i"})
    verdict = judge(
        {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "TaskQueue",
            "metadata": {"name": "exports"},
            "spec": spec,
        },
        in_cluster=in_cluster,
    )
    assert verdict.problems == ()
    assert verdict.object is not None
    return [str(problem) for problem in verdict.advice]


def test_a_password_in_the_address_belongs_in_a_secret_and_is_not_repeated() -> None:
    (line,) = advice(broker={"url": "redis://shop:hunter2@redis/0"})

    assert line.startswith("spec.broker.url: Warning: a password stands in plain text")
    assert "urlFrom.secretKeyRef" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("url", ["redis://redis/0", "redis://shop@redis/0", "redis:///0"])
def test_an_address_without_a_password_is_fine(url: str) -> None:
    assert advice(broker={"url": url}) == []


def test_a_long_task_beside_celerys_own_visibility_timeout_is_pointed_out() -> None:
    (line,) = advice(worker={"app": "a", "longestTask": "1h"})

    assert line.startswith("spec.broker.visibilityTimeout: Warning: is not given")
    assert "longestTask (1h)" in line
    assert advice(worker={"app": "a", "longestTask": "59m"}) == []
    assert (
        advice(worker={"app": "a", "longestTask": "1h"}, broker={"visibilityTimeout": "2h"}) == []
    )


def test_a_floor_above_the_largest_number_is_pointed_out() -> None:
    schedule = {"cron": "0 2 * * *", "duration": "1h", "minReplicas": 50}

    (line,) = advice(scaling={"maxReplicas": 40, "schedules": [schedule]})

    assert line == (
        "spec.scaling.schedules[0].minReplicas: Warning: minReplicas (50) is above maxReplicas "
        "(40), which holds: lower it or raise maxReplicas"
    )


def test_a_missing_address_matters_in_a_cluster_only() -> None:
    assert advice() == []
    (line,) = advice(in_cluster=True)
    assert line.startswith("spec.broker: Warning: no address is given")


def test_a_misspelt_field_of_the_pod_would_be_dropped_silently() -> None:
    (line,) = advice(worker={"app": "a", "template": {"spec": {"imagePullSecret": []}}})

    assert line.startswith("spec.worker.template.spec.imagePullSecret: Warning: ")
    assert line.endswith("did you mean imagePullSecrets?")
