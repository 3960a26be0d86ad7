"""Where a TaskQueue's broker is read, and what is said where it cannot be."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.cluster.urls import Url, address_in, url_of
from sluiceway.kube.errors import KubeError
from sluiceway.kube.secrets import KeyReader


class Server:
    """Has one Secret and one ConfigMap."""

    async def request(self, method: str, path: str) -> bytes:
        encoded = base64.b64encode(b"redis://:geheim@cache:6379/2\n").decode()
        found = {
            "/api/v1/namespaces/shop/secrets/redis": {"data": {"url": encoded}},
            "/api/v1/namespaces/shop/configmaps/settings": {
                "data": {"CELERY_BROKER_URL": "redis://config:6379/1"}
            },
        }.get(path)
        if found is None:
            raise KubeError("not found", status=404)
        return json.dumps(found).encode()


def taskqueue(broker: dict[str, Any]) -> TaskQueue:
    return TaskQueue.from_outside(
        {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "TaskQueue",
            "metadata": {"name": "exports", "namespace": "shop"},
            "spec": {"broker": broker, "worker": {"app": "shop", "image": "shop:1"}},
        }
    )


async def found(broker: dict[str, Any], container: dict[str, Any] | None = None) -> Url:
    pod = {"containers": [{"name": "sidecar"}, {"name": "worker", **(container or {})}]}
    return await url_of(taskqueue(broker), pod, KeyReader(Server()))


FROM_ENV = {"urlFrom": {"env": "CELERY_BROKER_URL"}}


async def test_a_written_address_is_taken_as_it_is() -> None:
    assert (await found({"url": "redis://redis:6379/0"})).value == "redis://redis:6379/0"


async def test_an_address_in_a_secret_is_read_without_the_line_end_that_editors_add() -> None:
    url = await found({"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}})
    assert url.value == "redis://:geheim@cache:6379/2"
    assert url.sources
    assert "geheim" not in repr(url)


async def test_a_secret_that_is_not_there_is_named_with_the_field() -> None:
    url = await found({"urlFrom": {"secretKeyRef": {"name": "absent", "key": "url"}}})
    assert url.problem is not None
    assert url.problem.sentence == (
        "spec.broker.urlFrom: Secret shop/absent does not exist; create it, or correct its name"
    )


@pytest.mark.parametrize(
    ("container", "value"),
    [
        (
            {"env": [{"name": "CELERY_BROKER_URL", "value": "redis://plain:6379/0"}]},
            "redis://plain:6379/0",
        ),
        (
            {
                "env": [
                    {
                        "name": "CELERY_BROKER_URL",
                        "valueFrom": {"secretKeyRef": {"name": "redis", "key": "url"}},
                    }
                ]
            },
            "redis://:geheim@cache:6379/2",
        ),
        ({"envFrom": [{"configMapRef": {"name": "settings"}}]}, "redis://config:6379/1"),
    ],
    ids=["a value", "a key of a Secret", "a whole ConfigMap"],
)
async def test_the_address_is_found_where_the_application_itself_reads_it(
    container: dict[str, Any], value: str
) -> None:
    assert (await found(FROM_ENV, container)).value == value


@pytest.mark.parametrize(
    ("container", "part"),
    [
        ({}, "is not among the variables of the worker's container"),
        (
            {"env": [{"name": "CELERY_BROKER_URL", "value": "redis://$(HOST):6379/0"}]},
            "put together from other variables",
        ),
        (
            {
                "env": [
                    {
                        "name": "CELERY_BROKER_URL",
                        "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}},
                    }
                ]
            },
            "only the pod itself knows",
        ),
    ],
    ids=["absent", "composed", "of the pod"],
)
async def test_a_variable_that_cannot_be_read_from_outside_says_so(
    container: dict[str, Any], part: str
) -> None:
    problem = (await found(FROM_ENV, container)).problem
    assert problem is not None
    assert part in problem.sentence


async def test_a_secret_that_is_taken_in_as_a_whole_and_is_not_there_is_named() -> None:
    url = await found(FROM_ENV, {"envFrom": [{"secretRef": {"name": "absent"}}]})
    assert url.problem is not None
    assert url.problem.sentence == (
        "spec.broker.urlFrom.env: CELERY_BROKER_URL: Secret shop/absent does not exist; "
        "create it, or correct its name"
    )
    assert [source.name for source in url.sources] == ["absent"]


async def test_a_secret_that_may_be_missing_is_passed_over_and_looked_for_again() -> None:
    sources = [
        {"configMapRef": {"name": "settings"}},
        {"secretRef": {"name": "absent", "optional": True}},
    ]
    url = await found(FROM_ENV, {"envFrom": sources})
    assert url.value == "redis://config:6379/1"
    assert [source.name for source in url.sources] == ["absent", "settings"]


async def test_a_taskqueue_without_a_broker_is_told_what_to_write() -> None:
    problem = (await found({})).problem
    assert problem is not None
    assert "urlFrom" in problem.sentence


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://redis:6379/0", "redis://redis.shop.svc:6379/0"),
        ("redis://redis.data:6379/0", "redis://redis.data:6379/0"),
        ("redis://10.0.0.1:6379/0", "redis://10.0.0.1:6379/0"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        (
            "sentinel://a:26379;sentinel://b.x:26379/0?master_name=m",
            "sentinel://a.shop.svc:26379;b.x:26379/0?master_name=m",
        ),
    ],
)
def test_a_service_is_found_from_another_namespace_as_its_own_pods_find_it(
    url: str, shown: str
) -> None:
    assert str(address_in(taskqueue({}), url)) == shown


def test_a_sentinels_address_need_not_have_the_servers_name_in_it() -> None:
    named = taskqueue({"masterName": "m"})
    assert address_in(named, "sentinel://a.x;sentinel://b.x/1").master_name == "m"
    assert address_in(named, "sentinel://a.x/1?master_name=own").master_name == "own"
