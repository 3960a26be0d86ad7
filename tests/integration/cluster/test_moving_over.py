"""docs/how-to/move-from-keda.md, walked through: at every moment one of the two scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import yaml
from typer import Typer
from typer.testing import CliRunner

from sluiceway.cli.convert import convert


class InCluster(Protocol):
    """As the fixture gives it."""

    broker: Any

    async def apply(self, *objects: dict[str, Any]) -> None: ...
    async def run(self, *args: str) -> str: ...
    async def get(self, kind: str, name: str) -> dict[str, Any] | None: ...
    async def replicas(self, deployment: str, number: int) -> None: ...
    async def condition(self, name: str, type_: str, status: str) -> dict[str, Any]: ...
    def publish(self, queue: str, number: int) -> None: ...


def workers(broker_url: str) -> dict[str, Any]:
    """A team's Deployment of plain Celery workers, at three."""
    container = {
        "name": "app",
        "image": "shop:1",
        "command": ["celery", "-A", "shop", "worker", "-Q", "exports", "-c", "2"],
        "env": [{"name": "CELERY_BROKER_URL", "value": broker_url}],
    }
    labels = {"app": "export-worker"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "export-worker"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 630, "containers": [container]},
            },
        },
    }


async def test_a_deployment_goes_from_an_hpa_to_a_taskqueue_and_back_without_a_change_of_its_pods(
    in_cluster: InCluster, start_operator: Any, tmp_path: Path
) -> None:
    await start_operator()
    await in_cluster.apply(workers(in_cluster.broker.url))
    await in_cluster.run("autoscale", "deployment/export-worker", "--min=3", "--max=8", "--cpu=80%")
    before = await in_cluster.get("deployment", "export-worker")
    in_cluster.publish("exports", 40)

    given = tmp_path / "before.yaml"
    given.write_text(await in_cluster.run("get", "hpa,deployment", "-o", "yaml"), encoding="utf-8")
    app = Typer()
    app.command()(convert)
    (taskqueue,) = yaml.safe_load_all(CliRunner().invoke(app, [str(given)]).stdout)
    assert taskqueue["spec"]["queues"] == ["exports"]
    assert taskqueue["spec"]["broker"] == {"urlFrom": {"env": "CELERY_BROKER_URL"}}

    # Beside each other: the old one scales, the new one looks on and says so.
    await in_cluster.apply(taskqueue)
    stalled = await in_cluster.condition("export-worker", "Stalled", "True")
    assert stalled["reason"] == "ScaledByAnother"
    await in_cluster.replicas("export-worker", 3)

    # Handed over: the number is the TaskQueue's (four, before a run time is known), the pods
    # are as they were.
    await in_cluster.run("delete", "hpa", "export-worker")
    await in_cluster.replicas("export-worker", 4)
    after = await in_cluster.get("deployment", "export-worker")
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"] | {"replicas": 4}

    # And back: what deploymentRef named stays as it is.
    await in_cluster.run("delete", "taskqueue", "export-worker")
    left = await in_cluster.get("deployment", "export-worker")
    assert left is not None
    assert left["spec"] == after["spec"]
