"""A real Prometheus scrapes a real operator, whose fleet is a real worker: nothing is left blank.

No node runs the fleet's pods; a worker process beside them speaks in the name of one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from celery import Celery
from charting.helm import Helm, running_helm
from charting.paths import CHART
from testcluster import prometheus

from sluiceway_worker.wire import ENV_FLEET, ENV_NAME, STAMP_HEADER
from tests.conftest import free_port
from tests.integration.cluster.conftest import InCluster, StartOperator

HERE = Path(__file__).parent
DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))
NOT_HERE = {
    # Nothing is dead, and who looks for it comes round in minutes.
    "max(sluiceway_dead_letters",
}
CELERY_PANELS = [
    "count(celery_worker_up{%s} == 1)",
    "sum(celery_worker_tasks_active{%s})",
    "count(group by (queue_name) (celery_queue_length{%s}))",
    "sum(increase(celery_task_received_total{%s}[5m])) by (name)",
    "sum(increase(celery_task_succeeded_total{%s}[5m]))",
    "sum(increase(celery_task_failed_total{%s}[5m])) by (name, exception)",
    "sum(increase(celery_task_retried_total{%s}[5m]))",
    "sum(increase(celery_task_rejected_total{%s}[5m]))",
    "sum(rate(celery_task_runtime_sum{%s}[5m])) / sum(rate(celery_task_runtime_count{%s}[5m]))",
    "histogram_quantile(0.95, sum(irate(celery_task_runtime_bucket{%s}[5m])) by (job, le))",
    "histogram_quantile(0.95, sum(irate(celery_task_queue_wait_time_bucket{%s}[5m])) by (le))",
]
"""What celery-mixin's panels ask for, in short."""


def panel_queries() -> list[str]:
    found = []
    for path in DASHBOARDS:
        pending = json.loads(path.read_text(encoding="utf-8"))["panels"]
        for panel in pending:
            pending.extend(panel.get("panels", ()))
            found += [target["expr"] for target in panel.get("targets", ())]
    return [query for query in found if not query.startswith(tuple(NOT_HERE))]


@pytest.fixture(scope="module")
def helm() -> Iterator[Helm]:
    with running_helm() as running:
        yield running


class Prometheus:
    """A server that scrapes one operator as the chart's monitor says."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def get(self, path: str, **query: str) -> Any:
        """The ``data`` of an answer; None while there is none."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{self._address}/api/v1/{path}", params=query) as response,
            ):
                answer = await response.json()
        except aiohttp.ClientError:
            return None
        assert answer["status"] == "success", answer
        return answer["data"]

    async def blank(self, queries: list[str]) -> list[str]:
        """Those of them that return nothing."""
        answers = await asyncio.gather(*(self.get("query", query=query) for query in queries))
        return [
            query
            for query, answer in zip(queries, answers, strict=True)
            if answer is None or not answer["result"]
        ]


@pytest.fixture
def scraping(helm: Helm, tmp_path: Path) -> Iterator[tuple[Prometheus, int]]:
    """A Prometheus, and the port at which it expects the operator."""
    program = prometheus.program("prometheus")
    if program is None:
        pytest.skip(f"prometheus {prometheus.MISSING}")
    on = {"enabled": True}
    made = helm.render(CHART, {"metrics": {"monitor": on, "prometheusRule": on}})
    (endpoint,) = made.one("ServiceMonitor")["spec"]["endpoints"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(made.one("PrometheusRule")["spec"]))
    operator_port, port = free_port(), free_port()
    scrape = {
        "job_name": "sluiceway",
        "honor_labels": endpoint["honorLabels"],
        "metrics_path": endpoint["path"],
        # As for a pod: its namespace and name.
        "static_configs": [
            {
                "targets": [f"127.0.0.1:{operator_port}"],
                "labels": {"namespace": "sluiceway-system", "pod": "sluiceway-0"},
            }
        ],
        "metric_relabel_configs": [
            {snake(name): item for name, item in one.items()}
            for one in endpoint["metricRelabelings"]
        ],
    }
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [scrape],
    }
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(program, "--config.file=prometheus.yaml", "--storage.tsdb.path=data"),
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Prometheus(f"127.0.0.1:{port}"), operator_port
    finally:
        process.terminate()
        process.wait()


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@pytest.fixture
def worker(in_cluster: InCluster, tmp_path: Path) -> Iterator[Any]:
    """Start a worker in the name of a pod."""
    started: list[subprocess.Popen[bytes]] = []

    def start(pod: str) -> None:
        with (tmp_path / "worker.log").open("wb") as log:
            started.append(
                subprocess.Popen(
                    [
                        *(sys.executable, "-m", "sluiceway_worker", "-A", "measured_app"),
                        *("-Q", "exports", "-c", "2", "--without-mingle", "--without-gossip"),
                    ],
                    cwd=HERE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env={
                        **os.environ,
                        "CELERY_BROKER_URL": in_cluster.broker.url,
                        ENV_NAME: pod,
                        ENV_FLEET: f"{in_cluster.name}/exports",
                    },
                )
            )

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def test_every_panel_of_both_dashboards_and_of_celerys_own_has_data(
    in_cluster: InCluster,
    start_operator: StartOperator,
    scraping: tuple[Prometheus, int],
    worker: Any,
    tmp_path: Path,
) -> None:
    server, port = scraping
    gate = tmp_path / "gate"
    await start_operator(address=f"127.0.0.1:{port}")
    scaling = {"minReplicas": 1, "maxReplicas": 5, "target": {"maxWait": "30s"}}
    await in_cluster.apply(in_cluster.taskqueue("exports", scaling=scaling))
    await in_cluster.replicas("exports-worker", 1)
    worker(await a_pod(in_cluster))

    with Celery(broker=in_cluster.broker.url, set_as_current=False) as client:

        def send(task: str, *args: str) -> None:
            client.send_task(
                f"measured_app.{task}",
                args,
                queue="exports",
                ignore_result=True,
                headers={STAMP_HEADER: in_cluster.broker.client().time()[0]},
            )

        send("hold", str(gate))
        namespace = in_cluster.name
        mixin = [
            query.replace("%s", f'namespace="{namespace}", job=~".*celery.*"')
            for query in CELERY_PANELS
        ]
        queries = mixin + [
            query.replace("$namespace", namespace).replace("$taskqueue", "exports")
            for query in panel_queries()
        ]
        blank = queries
        try:
            async with asyncio.timeout(240):  # only reached by a hang
                while blank := await server.blank(blank):
                    for task in ("succeed", "fail", "retry", "reject"):
                        await asyncio.to_thread(send, task)
                    await asyncio.sleep(1)
        except TimeoutError:
            pytest.fail("no data for\n" + "\n".join(blank))
        gate.touch()

    # The sum over exceptions and workers is what was sent, under the TaskQueue's own namespace.
    labels = await server.get("query", query="celery_task_failed_total{exception='KeyError'}")
    told = labels["result"][0]["metric"]
    assert told["job"] == "celery-sluiceway"
    assert (told["namespace"], told["taskqueue"], told["queue_name"]) == (
        namespace,
        "exports",
        "exports",
    )
    assert told["name"] == "measured_app.fail"
    groups = (await server.get("rules"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []


async def a_pod(in_cluster: InCluster) -> str:
    """The name of one of the fleet's pods, once there is one."""
    while True:
        names = await in_cluster.run("get", "pods", "-o", "name")
        if names.split():
            return names.split()[0].removeprefix("pod/")
        await asyncio.sleep(0.1)
