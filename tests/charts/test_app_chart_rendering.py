"""What the application's chart makes: every piece, each without the others."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from charting.app_sets import APP_SETS
from charting.helm import Helm, Rendered
from charting.paths import APP
from charting.sets import DIGEST

from sluiceway.api.validate import judge
from tests.conftest import RedisServerFactory

BROKER = {"secretKeyRef": {"name": "redis", "key": "url"}}


def rendered(helm: Helm, name: str) -> Rendered:
    return helm.render(APP, APP_SETS[name], release="shop")


def pods(rendered: Rendered) -> list[dict[str, Any]]:
    return [
        one["spec"]["template"]["spec"]
        for kind in ("Deployment", "StatefulSet")
        for one in rendered.all(kind)
    ]


def worker_of(queue: dict[str, Any]) -> dict[str, Any]:
    """The container «worker» of a TaskQueue's template."""
    containers = queue["spec"]["worker"]["template"]["spec"]["containers"]
    return dict(next(one for one in containers if one["name"] == "worker"))


@pytest.mark.parametrize("name", APP_SETS)
def test_every_taskqueue_is_a_valid_one(helm: Helm, name: str) -> None:
    for queue in rendered(helm, name).all("TaskQueue"):
        assert judge(queue, in_cluster=True).problems == ()


@pytest.mark.parametrize("name", APP_SETS)
def test_every_selector_finds_its_own_pods_and_no_others(helm: Helm, name: str) -> None:
    made = rendered(helm, name)
    templates = {
        (one["kind"], one["metadata"]["name"]): one["spec"]["template"]["metadata"]["labels"]
        for kind in ("Deployment", "StatefulSet")
        for one in made.all(kind)
    }
    templates["Pod", "test"] = made.one("Pod")["metadata"]["labels"]
    for one in made.objects:
        spec = one.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector")
        if not selector:
            continue
        wanted = selector.get("matchLabels", selector)
        found = [labels for labels in templates.values() if wanted.items() <= labels.items()]
        assert len(found) == 1


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("no web", {"ServiceAccount", "TaskQueue", "Pod"}),
        ("nothing but workers", {"TaskQueue", "Pod"}),
        (
            "no workers",
            {
                *("ServiceAccount", "Deployment", "Service", "PodDisruptionBudget", "Pod"),
                "HorizontalPodAutoscaler",
            },
        ),
    ],
)
def test_a_piece_that_is_off_leaves_nothing_behind(helm: Helm, name: str, kinds: set[str]) -> None:
    assert {one["kind"] for one in rendered(helm, name).objects} == kinds


def test_web_workers_and_beat_get_the_same_image_environment_and_volumes(helm: Helm) -> None:
    made = rendered(helm, "environment and volumes")
    (web,) = made.one("Deployment")["spec"]["template"]["spec"]["containers"]
    (beat,) = made.one("StatefulSet")["spec"]["template"]["spec"]["containers"]
    queue = made.one("TaskQueue")
    worker = worker_of(queue)
    assert web["image"] == beat["image"] == queue["spec"]["worker"]["image"]
    assert web["env"] == beat["env"] == worker["env"]
    assert web["env"][0] == {"name": "CELERY_BROKER_URL", "valueFrom": BROKER}
    assert web["env"][-1] == {"name": "SHOP_DATABASE", "value": "/data/shop.sqlite3"}
    assert web["envFrom"] == beat["envFrom"] == worker["envFrom"]
    mount = {"name": "data", "mountPath": "/data"}
    assert all(mount in one["volumeMounts"] for one in (web, beat, worker))
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    assert all(volume in pod["volumes"] for pod in pods(made))
    assert volume in queue["spec"]["worker"]["template"]["spec"]["volumes"]


def test_the_operator_reads_the_same_broker_as_the_application(helm: Helm) -> None:
    for name in ("a Redis by Secret", "a small Valkey", "other names of variables"):
        made = rendered(helm, name)
        broker = made.one("TaskQueue")["spec"]["broker"]
        reference = worker_of(made.one("TaskQueue"))["env"][0]["valueFrom"]
        assert broker["urlFrom"] == reference
    assert broker["visibilityTimeout"] == "3h"
    assert [one["name"] for one in worker_of(made.one("TaskQueue"))["env"]] == ["REDIS_URL"]
    made = rendered(helm, "a small Valkey")
    secret = made.one("Secret")
    host = made.one("Service", "shop-valkey")["metadata"]["name"]
    assert secret["metadata"]["name"] == reference_of(made)["name"]
    assert secret["stringData"] == {"url": f"redis://{host}:6379/0"}


def reference_of(made: Rendered) -> dict[str, Any]:
    return dict(made.one("TaskQueue")["spec"]["broker"]["urlFrom"]["secretKeyRef"])


def test_workers_go_to_other_nodes_than_the_web(helm: Helm) -> None:
    made = rendered(helm, "the whole guide")
    web = made.one("Deployment", "shop-web")["spec"]["template"]["spec"]
    assert web["nodeSelector"] == {"pool": "light"}
    exports = made.one("TaskQueue", "exports")["spec"]
    assert exports["worker"]["className"] == "high-cpu"
    assert "nodeSelector" not in exports["worker"]["template"]["spec"]


def test_a_queues_own_words_stand_over_the_defaults(helm: Helm) -> None:
    made = rendered(helm, "queues on other nodes")
    assert {one["metadata"]["name"] for one in made.all("TaskQueue")} == {"exports", "emails"}
    exports = made.one("TaskQueue", "exports")["spec"]
    assert exports["scaling"] == {"maxReplicas": 20, "target": {"maxWait": "30s"}}
    assert exports["worker"]["pool"] == "threads"
    assert made.one("TaskQueue", "emails")["spec"]["queues"] == ["emails", "invoices"]


def test_a_target_of_ones_own_takes_the_place_of_the_defaults(helm: Helm) -> None:
    own = {"scaling": {"target": {"backlogPerReplica": 5}}}
    values = {
        **APP_SETS["a small Valkey"],
        "taskQueues": {"celery": None, "pdfs": own, "mails": {}},
    }
    queues = {one["metadata"]["name"]: one for one in helm.render(APP, values).all("TaskQueue")}
    assert queues["pdfs"]["spec"]["scaling"]["target"] == {"backlogPerReplica": 5}
    assert queues["mails"]["spec"]["scaling"]["target"] == {"maxWait": "30s"}
    assert judge(queues["pdfs"], in_cluster=True).problems == ()


def test_a_template_of_ones_own_stands_beside_what_all_workers_get(helm: Helm) -> None:
    queue = rendered(helm, "a queue with a template of its own").one("TaskQueue", "videos")
    template = queue["spec"]["worker"]["template"]
    assert template["metadata"] == {"labels": {"team": "media"}}
    assert [one["name"] for one in template["spec"]["containers"]] == ["worker", "ffmpeg"]
    names = [one["name"] for one in worker_of(queue)["env"]]
    assert names == ["CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "A", "B"]
    assert template["spec"]["volumes"] == [{"name": "scratch", "emptyDir": {}}]


def test_workers_from_elsewhere_get_nothing_of_the_charts_image(helm: Helm) -> None:
    made = rendered(helm, "queues with workers from elsewhere")
    specs = {one["metadata"]["name"]: one["spec"] for one in made.all("TaskQueue")}
    assert specs["legacy"]["worker"] == {"deploymentRef": {"name": "legacy-worker"}}
    assert specs["same"]["worker"] == {
        "app": "tasks",
        "like": {"name": "shop-web", "container": "web"},
        "template": {"metadata": {"labels": {"team": "media"}}},
    }
    assert specs["other"]["worker"]["image"] == "registry.example/other:2"
    assert specs["other"]["worker"]["app"] == "other"
    assert specs["elsewhere"]["broker"] == {"url": "redis://other:6379/1"}


def test_there_is_never_a_second_beat(helm: Helm) -> None:
    # The name of a StatefulSet's one pod is taken until the API server knows it to be gone.
    for name in ("Beat", "Beat with a disk and a scheduler", "the whole guide"):
        beat = rendered(helm, name).one("StatefulSet", "shop-beat")
        assert beat["spec"]["replicas"] == 1
        # Else one that never became ready would be in the way of its own mend.
        assert beat["spec"]["podManagementPolicy"] == "Parallel"
    disk = rendered(helm, "the whole guide").one("StatefulSet", "shop-beat")
    (claim,) = disk["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    (container,) = disk["spec"]["template"]["spec"]["containers"]
    (schedule,) = [one for one in container["command"] if one.startswith("--schedule=")]
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "schedule"]
    assert schedule.startswith(f"--schedule={mount['mountPath']}/")


def test_flower_asks_for_a_password_on_every_page_but_its_health(helm: Helm) -> None:
    made = rendered(helm, "Flower under a path")
    (flower,) = made.one("Deployment", "shop-flower")["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one["valueFrom"] for one in flower["env"]}
    assert environment["FLOWER_BASIC_AUTH"] == {"secretKeyRef": {"name": "flower", "key": "login"}}
    assert environment["CELERY_BROKER_URL"] == BROKER
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert flower[probe]["httpGet"]["path"] == "/flower/healthcheck"
    assert "--url-prefix=flower" in flower["command"]


def test_flower_starts_as_soon_as_there_is_a_broker(
    helm: Helm, make_redis_server: RedisServerFactory
) -> None:
    made = rendered(helm, "Flower under a path")
    (first,) = made.one("Deployment", "shop-flower")["spec"]["template"]["spec"]["initContainers"]
    assert first["env"] == [{"name": "CELERY_BROKER_URL", "valueFrom": BROKER}]
    server = make_redis_server()
    server.stop()

    python, *arguments = first["command"]
    assert python == "python"
    waiting = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"CELERY_BROKER_URL": server.url},
    )
    with waiting:
        try:
            assert waiting.stdout is not None
            assert "again in 1" in waiting.stdout.readline()
            server.start()
            assert waiting.wait() == 0
        finally:
            waiting.kill()


def test_the_small_broker_evicts_nothing_and_lets_in_only_who_needs_it(helm: Helm) -> None:
    made = rendered(helm, "a small Valkey")
    broker = made.one("StatefulSet", "shop-valkey")["spec"]
    (container,) = broker["template"]["spec"]["containers"]
    words = container["command"]
    assert words[words.index("--maxmemory-policy") + 1] == "noeviction"
    assert words[words.index("--appendonly") + 1] == "yes"
    assert broker["volumeClaimTemplates"]
    (rule,) = made.one("NetworkPolicy")["spec"]["ingress"]
    inside, operator = rule["from"]
    assert inside == {"podSelector": {}}
    assert operator["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/part-of": "sluiceway",
        "app.kubernetes.io/component": "operator",
    }
    without = rendered(helm, "a Valkey without a disk, from a registry").one("StatefulSet")
    assert "volumeClaimTemplates" not in without["spec"]
    (container,) = without["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/valkey@{DIGEST}"


def test_only_the_webs_autoscaler_says_how_many_webs_there_are(helm: Helm) -> None:
    scaled = rendered(helm, "a Redis by Secret")
    assert "replicas" not in scaled.one("Deployment")["spec"]
    assert scaled.one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "shop-web"
    fixed = rendered(helm, "a web of fixed size")
    assert fixed.one("Deployment")["spec"]["replicas"] == 3
    assert fixed.all("HorizontalPodAutoscaler") == []


def test_a_web_is_reached_under_its_hosts_or_under_any(helm: Helm) -> None:
    rules = rendered(helm, "a web with everything").one("Ingress")["spec"]["rules"]
    assert [rule["host"] for rule in rules] == ["shop.example", "*.shop.example"]
    (rule,) = rendered(helm, "a web for any host").one("Ingress")["spec"]["rules"]
    assert "host" not in rule


@pytest.mark.parametrize("name", APP_SETS)
def test_no_pod_gets_a_token_of_the_api_server(helm: Helm, name: str) -> None:
    made = rendered(helm, name)
    specs = [*pods(made), made.one("Pod")["spec"]]
    assert all(spec["automountServiceAccountToken"] is False for spec in specs)


@pytest.mark.parametrize("name", APP_SETS)
def test_the_notes_name_what_was_made_and_what_to_do_next(helm: Helm, name: str) -> None:
    made = rendered(helm, name)
    assert "helm test shop" in made.notes
    for queue in made.all("TaskQueue"):
        assert f"taskqueue/{queue['metadata']['name']}" in made.notes
    assert ("exactly one" in made.notes) == ("beat" in APP_SETS[name])
    assert ("port-forward" in made.notes) == ("flower" in APP_SETS[name])
    assert ("kubectl get taskqueues" in made.notes) == bool(made.all("TaskQueue"))
