"""What tests may rely on when they use the control plane of the test cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace
from testcluster.kubectl import KubectlError
from testcluster.paths import BINARIES
from testcluster.processes import Process, StartError

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: idle}
spec:
  replicas: 2
  selector: {matchLabels: {app: idle}}
  template:
    metadata: {labels: {app: idle}}
    spec: {containers: [{name: idle, image: example.invalid/idle}]}
"""

HARNESS = """
import sys
from pathlib import Path
from testcluster.build import ensure_built
from testcluster.control_plane import ControlPlane

with ControlPlane(ensure_built(), Path(sys.argv[1])) as cluster:
    print(*(process.pid for process in cluster.processes), flush=True)
    sys.stdin.read()
"""


def running(pid: int) -> bool:
    """Whether the process does anything still; one that only waits to be reaped does not."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_it_is_the_version_that_the_go_module_names(control_plane: ControlPlane) -> None:
    told = control_plane.kubectl.run("version", "--output", "json")
    assert told.count(f'"gitVersion": "{control_plane.programs.version}"') == 2


def test_controllers_turn_a_deployment_into_pods_that_wait_for_a_node(
    namespace: Namespace,
) -> None:
    namespace.kubectl.apply(DEPLOYMENT)
    namespace.kubectl.run("wait", "deployment/idle", "--for=jsonpath={.status.replicas}=2")
    told = namespace.kubectl.run(
        "wait", "pod", "--selector=app=idle", "--for=condition=PodScheduled=false"
    )
    assert told.count("condition met") == 2


def test_a_service_account_may_do_what_its_rules_say_and_nothing_else(
    control_plane: ControlPlane, namespace: Namespace
) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    kubeconfig = control_plane.service_account("reader", namespace.name, rules)
    reader = namespace.kubectl.as_user(kubeconfig)
    assert reader.items("pods") == []
    with pytest.raises(KubectlError, match='cannot list resource "secrets"'):
        reader.items("secrets")
    with pytest.raises(KubectlError, match='cannot list resource "pods"'):
        reader.within("default").items("pods")


def test_cluster_wide_rules_hold_in_every_namespace(
    control_plane: ControlPlane, namespace: Namespace
) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    kubeconfig = control_plane.service_account("watcher", namespace.name, rules, cluster_wide=True)
    assert namespace.kubectl.as_user(kubeconfig).within("default").items("pods") == []


def test_an_api_server_that_crashed_comes_back_at_the_same_address_with_what_it_held(
    control_plane: ControlPlane, namespace: Namespace
) -> None:
    namespace.kubectl.run("create", "configmap", "kept")
    before = control_plane.api_server.pid
    control_plane.restart_api_server()
    assert control_plane.api_server.pid != before
    assert namespace.kubectl.get("configmap", "kept")["metadata"]["name"] == "kept"


def test_a_stopped_api_server_refuses_connections(
    control_plane: ControlPlane, namespace: Namespace
) -> None:
    control_plane.stop_api_server()
    try:
        with pytest.raises(KubectlError, match="refused"):
            namespace.kubectl.run("get", "pods")
    finally:
        control_plane.start_api_server()


def test_a_frozen_api_server_answers_nothing_until_it_is_thawed(
    control_plane: ControlPlane, namespace: Namespace
) -> None:
    control_plane.api_server.freeze()
    try:
        with pytest.raises(KubectlError, match=r"(?i)timeout|deadline exceeded"):
            namespace.kubectl.run("get", "pods", "--request-timeout=1s")
    finally:
        control_plane.api_server.thaw()
    assert namespace.kubectl.items("pods") == []


def test_a_program_that_ends_while_it_starts_shows_its_last_words(tmp_path: Path) -> None:
    process = Process(
        "hasty",
        [sys.executable, "-c", "raise SystemExit('no port left')"],
        log=tmp_path / "hasty.log",
    )
    process.start()
    with pytest.raises(StartError, match="hasty ended while it started:\nno port left"):
        process.wait_until(lambda: False, seconds=30)
    process.stop()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_harness_that_was_ended(
    how: signal.Signals, control_plane: ControlPlane, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HARNESS, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(BINARIES.parent)},
    ) as harness:
        assert harness.stdout is not None
        pids = [int(pid) for pid in harness.stdout.readline().split()]
        assert len(pids) == len(control_plane.processes)
        assert all(running(pid) for pid in pids)
        harness.send_signal(how)
    deadline = time.monotonic() + 30
    while any(running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in pids if running(pid)] == []
