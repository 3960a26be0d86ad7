"""Both charts on real nodes, from nothing and back to it, with tasks under way."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

import pytest
from charting.helm import Helm, running_helm
from charting.paths import APP, CHART
from stage.images import STOREFRONT, STOREFRONT_NEXT
from stage.objects import CLASSES, SOON
from stage.operator import CRD, NAMESPACE, Operator
from stage.storefront import LOGIN, PERIOD_S, WORKERS, Storefront, Tick, page
from stage.until import until
from testcluster.kubectl import Kubectl
from testcluster.provider import Cluster, ExistingCluster

SHOP = "storefront"
HELM_HANGS_S = 600
CRDS = (CRD, "workerclasses.sluiceway.dev")
MINE = {
    "apiVersion": "sluiceway.dev/v1alpha1",
    "kind": "TaskQueue",
    "metadata": {"name": "mine"},
    "spec": {
        "broker": {"url": "redis://storefront-valkey:6379/0"},
        "worker": {"app": "storefront", "image": STOREFRONT},
        "scaling": {"maxReplicas": 2},
    },
}
"""Of a user's own, that no release knows of."""
STAYS = {
    *(f"CustomResourceDefinition//{name}" for name in CRDS),
    "APIService//v1alpha1.sluiceway.dev",
    *(f"WorkerClass//{one['metadata']['name']}" for one in CLASSES),
    f"Secret/{SHOP}/flower",
    f"TaskQueue/{SHOP}/mine",
    f"Deployment/{SHOP}/mine-worker",
}
"""After both uninstalls: what users need or made."""
ALL = "{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{'\\n'}{end}"


@dataclass
class Times:
    """How long each step took, printed as it ends."""

    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.steps[step] = time.monotonic() - began
        print(f"{step}: {self.steps[step]:.1f} s", flush=True)


@pytest.fixture(scope="module")
def helm() -> Iterator[Helm]:
    with running_helm() as running:
        yield running


@pytest.fixture
def nothing(images: None, cluster: Cluster) -> Iterator[Kubectl]:
    """An administrator's kubectl in a cluster that knows nothing of Sluiceway.

    Where other scenes have installed the operator, it is away for as long as this one lasts.
    """
    if isinstance(cluster, ExistingCluster):
        pytest.skip("it installs and removes what a cluster of the user's own may need")
    kubectl = cluster.kubectl
    operator = Operator(kubectl)
    others = kubectl.try_run("get", "crd", CRD).code == 0
    if others:
        operator.remove()
    with ExitStack() as stack:
        if others:
            stack.callback(operator.install)
        stack.callback(_clear, kubectl)
        for name in (NAMESPACE, SHOP):
            kubectl.run("create", "namespace", name)
            enforced = "pod-security.kubernetes.io/enforce=restricted"
            kubectl.run("label", "namespace", name, enforced)
        yield kubectl


def _clear(kubectl: Kubectl) -> None:
    """Leave nothing, wherever the scene ended."""
    kubectl.run("delete", "crd", "--ignore-not-found", *CRDS)
    for name in (SHOP, NAMESPACE):
        # A worker that holds an order of a scene that failed would wait for it.
        kubectl.within(name).try_run("delete", "pods", "--all", "--force", "--grace-period=0")
    for name in sorted(_everything(kubectl)):
        kind, _, own = name.split("/")
        if kind.startswith("ClusterRole") and own.startswith("sluiceway"):
            kubectl.run("delete", kind, own)
    kubectl.run("delete", "namespace", "--ignore-not-found", SHOP, NAMESPACE)


def operator_values(**more: Any) -> dict[str, Any]:
    classes = {one["metadata"]["name"]: one["spec"] for one in CLASSES}
    return {"workerClasses": classes, "resources": {"requests": {"cpu": "10m"}}, **more}


def app_values(image: str, **more: Any) -> dict[str, Any]:
    repository, tag = image.rsplit(":", 1)
    small = {"requests": {"cpu": "10m"}, "limits": {"memory": "512Mi"}}
    own = {"repository": repository, "tag": tag}
    server = {"repository": repository, "tag": STOREFRONT.rsplit(":", 1)[1]}
    return {
        "image": own,
        "app": "storefront",
        "env": [{"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}],
        "web": {
            "command": ["python", "storefront.py"],
            "replicas": 1,
            "autoscaling": {"enabled": False},
            "nodeSelector": {"pool": "light"},
            "resources": small,
        },
        "podSecurityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "valkey": {
            "enabled": True,
            "image": server,
            "persistence": {"enabled": False},
            "resources": small,
        },
        "taskQueues": {
            "celery": None,
            "orders": {
                "worker": {
                    "className": "high-cpu",
                    "concurrency": 1,
                    "pool": "prefork",
                    "acks": "late",
                    # Told to go while the broker goes as well, Celery may wait for it that long.
                    "longestTask": "1m",
                },
                "scaling": {**SOON, "maxReplicas": WORKERS, "target": {"backlogPerReplica": 5}},
            },
        },
        "beat": {
            "enabled": True,
            "args": ["--scheduler=redbeat.RedBeatScheduler"],
            "resources": small,
        },
        "flower": {
            "enabled": True,
            "image": own,
            "existingSecret": {"name": "flower"},
            "resources": small,
        },
        **more,
    }


def test_both_charts_from_nothing_through_a_burst_and_upgrades_and_back_to_nothing(
    helm: Helm, nothing: Kubectl
) -> None:
    times = Times()
    system, shop = nothing.within(NAMESPACE), nothing.within(SHOP)
    before = _everything(nothing)

    def do(action: str, *arguments: Any, within: Kubectl, **options: Any) -> None:
        namespace = within.namespace or ""
        options |= {"timeout": HELM_HANGS_S}
        helm.do(nothing.kubeconfig, action, *arguments, within=namespace, **options)

    with times.of("helm install sluiceway"):
        do("install", str(CHART), "sluiceway", operator_values(), within=system, wait="watcher")
    with times.of("helm test sluiceway"):
        do("test", "sluiceway", within=system)
    shop.run("create", "secret", "generic", "flower", f"--from-literal=basic-auth={LOGIN}")
    with _telling(nothing), ExitStack() as stack:
        with times.of("helm install storefront"):
            values = app_values(STOREFRONT)
            do("install", str(APP), "storefront", values, within=shop, wait="watcher")
        with times.of("helm test storefront"):
            do("test", "storefront", within=shop)
        front = Storefront(shop, stack)
        web = front.reach_web(STOREFRONT)
        with times.of("40 orders, from the burst to the last result"):
            front.burst(web, 40, seconds=0.3)
            front.await_results(web)

        flower = front.reach_flower()
        with times.of("Flower's page"):
            assert page(f"{flower}/workers") == 401
            assert page(f"{flower}/workers", login=LOGIN) == 200

        front.await_ticks(1)
        # Each step begins while every worker is at an order that lasts until the test lets go.
        front.begin_orders(web)
        with times.of("Flower, asked for the workers while all are at an order"):
            busy = front.busy()
            until(lambda: busy <= front.known_to_flower(flower), that="Flower knows the workers")
        before_it = front.runs("ended")
        with times.of("helm upgrade sluiceway, under orders"):
            more = operator_values(podAnnotations={"example/upgraded": secrets.token_hex(4)})
            do("upgrade", str(CHART), "sluiceway", more, within=system, wait="watcher")
        assert front.runs("ended") == before_it
        front.release()
        with times.of("helm upgrade storefront, under orders"):
            values = app_values(STOREFRONT_NEXT)
            do("upgrade", str(APP), "storefront", values, within=shop, wait="watcher")
        web = front.reach_web(STOREFRONT_NEXT)
        with times.of("the orders that were left"):
            front.await_results(web)
        front.await_ticks(1)

        front.begin_orders(web)
        before_it = front.runs("ended")
        with times.of("helm rollback sluiceway, under orders"):
            do("rollback", "sluiceway", version=1, within=system, wait="watcher")
        assert front.runs("ended") == before_it
        front.release()
        with times.of("helm rollback storefront, under orders"):
            do("rollback", "storefront", version=1, within=shop, wait="watcher")
        web = front.reach_web(STOREFRONT)
        with times.of("the orders that were left then"):
            front.await_results(web)
        once = Counter(front.ids)
        assert front.runs("began") == once
        assert front.runs("ended") == once
        print(f"orders: {len(once)}, each begun and ended once", flush=True)

        with times.of("two tasks of the third Beat"):
            front.await_ticks(2)
        _assert_once_a_period(front.ticks())

    shop.apply(json.dumps(MINE))
    until(lambda: shop.try_run("get", "deployment", "mine-worker").code == 0, that="it has a fleet")
    with times.of("helm uninstall storefront"):
        do("uninstall", "storefront", within=shop, wait="watcher")
    with times.of("helm uninstall sluiceway"):
        do("uninstall", "sluiceway", within=system, wait="watcher")
    with _telling(nothing), times.of("what their objects owned goes"):
        until(
            lambda: _left(nothing, before) <= STAYS,
            that="only what is users' is left",
            every_s=2,
            hangs_s=HELM_HANGS_S,
        )
    assert _left(nothing, before) == STAYS
    print(f"all of it: {sum(times.steps.values()):.0f} s", flush=True)


def _assert_once_a_period(ticks: list[Tick]) -> None:
    """Beat began three times, and what it sent is one row, as if it had never ended."""
    gaps = [later.at - earlier.at for earlier, later in pairwise(ticks)]
    print("between Beat's tasks:", *(f"{gap:.1f}" for gap in gaps), "s", flush=True)
    beats = [pod for pod, _ in groupby(tick.pod for tick in ticks)]
    assert len(beats) == len(set(beats)) == 3
    # How long none was there is the machine's matter; that there never were two is the chart's.
    assert min(gaps) > 0.99 * PERIOD_S
    for earlier, later in pairwise(ticks):
        # One that is told to go between its books and the broker leaves that one out.
        left_out = later.number - earlier.number - 1
        assert left_out == 0 or (left_out == 1 and later.pod != earlier.pod)


def _everything(kubectl: Kubectl) -> set[str]:
    """Kind, namespace and name of all in the cluster and in the scene's namespaces.

    But for what Kubernetes itself writes there as it runs.
    """
    kinds = set(kubectl.run("api-resources", "--verbs=list", "--output=name").split())
    kinds -= {"componentstatuses", "events", "events.events.k8s.io"}
    listed = kubectl.run(
        "get", ",".join(sorted(kinds)), "--all-namespaces", f"--output=jsonpath={ALL}"
    )
    own = ("ServiceAccount//default", "ConfigMap//kube-root-ca.crt")
    found = set()
    for line in listed.splitlines():
        kind, namespace, name = line.split("/")
        if namespace in ("", SHOP, NAMESPACE) and f"{kind}//{name}" not in own:
            found.add(line)
    return found


def _left(kubectl: Kubectl, before: set[str]) -> set[str]:
    """What was not there before; of the user's own fleet only its Deployment."""
    owned = tuple(f"{kind}/{SHOP}/mine-worker-" for kind in ("ReplicaSet", "Pod"))
    return {name for name in _everything(kubectl) - before if not name.startswith(owned)}


@contextmanager
def _telling(kubectl: Kubectl) -> Iterator[None]:
    """Print what the operator and the namespace have to say, when the block fails."""
    try:
        yield
    except BaseException:
        print(Operator(kubectl).logs())
        shop = kubectl.within(SHOP)
        print(shop.try_run("get", "all,taskqueues", "--output=wide").stdout)
        named = "--selector=app.kubernetes.io/instance=storefront"
        print(shop.try_run("logs", named, "--prefix", "--tail=20").stdout)
        print(shop.try_run("get", "events", "--sort-by=.lastTimestamp").stdout[-6000:])
        raise
