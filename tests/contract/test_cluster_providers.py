"""What a provider of nodes says when it cannot work here."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from testcluster.control_plane import ControlPlane
from testcluster.local import ClusterNeedsError
from testcluster.provider import Provider, provide

PULL_FAILURE = """\
ERROR: failed to create cluster: failed to pull image "kindest/node:v1.34.0": exit status 1
"""


def program(folder: Path, name: str, script: str) -> None:
    """An executable that stands in for a program that most machines here lack."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_kind_says_which_programs_it_lacks(only_path: Path) -> None:
    program(only_path, "docker", "exit 0")
    with pytest.raises(ClusterNeedsError, match="needs kind on PATH"), provide(Provider.KIND):
        pass


def test_kind_points_to_the_local_provider_when_its_node_image_cannot_be_pulled(
    only_path: Path,
) -> None:
    program(only_path, "docker", "exit 0")
    program(only_path, "kind", f"echo '{PULL_FAILURE}' >&2; exit 1")
    with pytest.raises(ClusterNeedsError, match="use --cluster=local"), provide(Provider.KIND):
        pass


def test_local_says_which_packages_bring_what_it_lacks(
    only_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with (
        pytest.raises(ClusterNeedsError, match=r"apt-get install .*containerd.* runc"),
        provide(Provider.LOCAL),
    ):
        pass


def test_local_says_that_it_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ClusterNeedsError, match="need root"), provide(Provider.LOCAL):
        pass


def test_existing_asks_for_a_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(ClusterNeedsError, match="KUBECONFIG"), provide(Provider.EXISTING):
        pass


def test_existing_asks_for_nodes_of_both_pools(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubectl.kubeconfig))
    with (
        pytest.raises(ClusterNeedsError, match="kubectl label node NAME pool=light"),
        provide(Provider.EXISTING),
    ):
        pass


def test_existing_uses_the_nodes_there_are_and_loads_no_image(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for pool in ("light", "high-cpu"):
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"existing-{pool}", "labels": {"pool": pool}},
        }
        control_plane.kubectl.apply(json.dumps(node))
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubectl.kubeconfig))
    try:
        with provide(Provider.EXISTING) as cluster:
            assert len(cluster.kubectl.items("nodes", "--selector=pool")) == 2
            with pytest.raises(ClusterNeedsError, match=r"worker\.tar cannot be loaded"):
                cluster.load_image(tmp_path / "worker.tar")
    finally:
        control_plane.kubectl.run("delete", "nodes", "--selector=pool")
