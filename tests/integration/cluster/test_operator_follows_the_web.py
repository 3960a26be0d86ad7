"""worker.like: image, environment and volumes follow the web's own Deployment."""

from __future__ import annotations

from typing import Any

from tests.integration.cluster.conftest import InCluster, StartOperator


def web(image: str, replicas: int = 1) -> dict[str, Any]:
    labels = {"app": "web"}
    url = {"secretKeyRef": {"name": "redis", "key": "url"}}
    container = {
        "name": "app",
        "image": image,
        "ports": [{"containerPort": 8000}],
        "env": [{"name": "CELERY_BROKER_URL", "valueFrom": url}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def container_of(deployment: dict[str, Any] | None) -> dict[str, Any]:
    found = (deployment or {}).get("spec", {}).get("template", {}).get("spec", {})
    return next(iter(found.get("containers", ())), {})


async def test_a_release_of_the_web_is_one_of_the_workers_too(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await in_cluster.run(
        "create", "secret", "generic", "redis", f"--from-literal=url={in_cluster.broker.url}"
    )
    await start_operator()
    # Applied before the Deployment that it names, as a tool may do.
    await in_cluster.apply(
        in_cluster.taskqueue(
            "exports",
            worker={"app": "shop.tasks", "like": {"name": "web"}},
            broker={"urlFrom": {"env": "CELERY_BROKER_URL"}},
        )
    )
    await in_cluster.condition("exports", "Ready", "Unknown")
    await in_cluster.apply(web("shop:1"))
    found = await in_cluster.until(
        "deployment", "exports-worker", lambda one: container_of(one).get("image") == "shop:1"
    )
    assert "ports" not in container_of(found)
    await in_cluster.condition("exports", "Ready", "True")
    in_cluster.publish("exports", 100)
    await in_cluster.replicas("exports-worker", 20)

    await in_cluster.apply(web("shop:2", replicas=3))
    found = await in_cluster.until(
        "deployment", "exports-worker", lambda one: container_of(one).get("image") == "shop:2"
    )
    assert found["spec"]["replicas"] == 20
