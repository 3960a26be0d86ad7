"""What tests may rely on when they use the test cluster's nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testcluster.fixtures import Namespace
from testcluster.kubectl import Kubectl
from testcluster.local import PROBE_IMAGE
from testcluster.provider import Cluster

POOLS = ("light", "high-cpu")
TOLERATION = {"key": "pool", "operator": "Equal", "value": "high-cpu", "effect": "NoSchedule"}


def probe(name: str, **spec: Any) -> str:
    """A pod under the restricted rules that waits until it is told to go."""
    container = {
        "name": "probe",
        "image": PROBE_IMAGE,
        "args": ["wait"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"containers": [container], "securityContext": security, **spec}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": pod,
        }
    )


def run(kubectl: Kubectl, name: str, **spec: Any) -> None:
    kubectl.apply(probe(name, **spec))
    kubectl.run("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")


def within(kubectl: Kubectl, pod: str, *arguments: str) -> str:
    return kubectl.run("exec", pod, "--", "/probe", *arguments)


@pytest.fixture
def restricted(cluster_namespace: Namespace) -> Kubectl:
    """kubectl in a namespace that admits only pods under the restricted rules."""
    cluster_namespace.kubectl.run(
        *("label", "namespace", cluster_namespace.name),
        "pod-security.kubernetes.io/enforce=restricted",
    )
    return cluster_namespace.kubectl


def test_both_nodes_are_ready_and_only_high_cpu_is_tainted(cluster: Cluster) -> None:
    cluster.kubectl.run("wait", "nodes", "--selector=pool", "--for=condition=Ready")
    taints = {
        node["metadata"]["labels"]["pool"]: [
            (taint["key"], taint["value"], taint["effect"])
            for taint in node["spec"].get("taints", [])
        ]
        for node in cluster.kubectl.items("nodes", "--selector=pool")
    }
    assert taints == {"light": [], "high-cpu": [("pool", "high-cpu", "NoSchedule")]}


@pytest.mark.parametrize("pool", POOLS)
def test_a_restricted_pod_runs_on_the_pool_that_it_asks_for(
    pool: str, cluster: Cluster, restricted: Kubectl
) -> None:
    run(restricted, "chosen", nodeSelector={"pool": pool}, tolerations=[TOLERATION])
    node = cluster.kubectl.get("node", restricted.get("pod", "chosen")["spec"]["nodeName"])
    assert node["metadata"]["labels"]["pool"] == pool


def test_a_pod_without_the_toleration_never_runs_on_high_cpu(restricted: Kubectl) -> None:
    restricted.apply(probe("refused", nodeSelector={"pool": "high-cpu"}))
    restricted.run("wait", "pod/refused", "--for=condition=PodScheduled=false", "--timeout=30s")
    run(restricted, "anywhere")
    assert "nodeName" not in restricted.get("pod", "refused")["spec"]


def test_a_service_name_resolves_to_the_services_address(restricted: Kubectl) -> None:
    run(restricted, "asking", nodeSelector={"pool": "light"})
    restricted.run("create", "service", "clusterip", "shop", "--tcp=80")
    address = restricted.get("service", "shop")["spec"]["clusterIP"]
    assert within(restricted, "asking", "lookup", f"shop.{restricted.namespace}") == f"{address}\n"


@pytest.mark.parametrize("pool", POOLS)
def test_a_pod_reaches_the_api_server_by_its_name_with_its_own_token(
    pool: str, restricted: Kubectl
) -> None:
    run(restricted, "asking", nodeSelector={"pool": pool}, tolerations=[TOLERATION])
    answer = within(restricted, "asking", "get", "https://kubernetes.default.svc/readyz")
    assert answer == "200 OK\n"


def test_a_pod_reaches_a_pod_on_the_other_node(cluster: Cluster, restricted: Kubectl) -> None:
    run(restricted, "asking", nodeSelector={"pool": "high-cpu"}, tolerations=[TOLERATION])
    # The DNS answers HTTP too, on its readiness port, and runs on the other node.
    pods = cluster.kubectl.within("kube-system").items("pods", "--selector=k8s-app=kube-dns")
    address = pods[0]["status"]["podIP"]
    assert within(restricted, "asking", "get", f"http://{address}:8181/ready") == "200 OK\n"


def test_logs_of_a_pod_can_be_read(restricted: Kubectl) -> None:
    restricted.apply(probe("failing").replace('["wait"]', '["lookup"]'))
    restricted.run(
        *("wait", "pod/failing", "--timeout=60s"),
        "--for=jsonpath={.status.containerStatuses[0].restartCount}=1",
    )
    assert restricted.run("logs", "failing", "--previous").startswith("usage: probe")
