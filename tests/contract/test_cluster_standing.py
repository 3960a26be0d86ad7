"""The cluster that `make cluster` starts stays until it is taken away, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testcluster.build import ensure_built
from testcluster.cgroups import ROOT as CGROUPS
from testcluster.kubectl import Kubectl
from testcluster.local import ClusterNeedsError, check_needs
from testcluster.paths import BINARIES

pytestmark = pytest.mark.cluster

Command = Callable[..., subprocess.CompletedProcess[str]]


def ours() -> set[str]:
    """What clusters leave on a machine while they run: namespaces and cgroups."""
    namespaces = Path("/run/netns").glob("sluiceway*")
    groups = [*CGROUPS.glob("sluiceway*"), *CGROUPS.glob("*/sluiceway*")]
    return {str(path) for path in (*namespaces, *groups)}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where the cluster of this test keeps what it tells others."""
    return tmp_path / "sluiceway" / "cluster"


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """`python tests/cluster …` with a state of its own."""
    try:
        check_needs()
    except ClusterNeedsError as reason:
        pytest.skip(str(reason))

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, BINARIES.parent, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"XDG_STATE_HOME": str(tmp_path)},
        )

    yield run
    run("down")


def nodes(state: Path) -> set[str]:
    kubectl = Kubectl(program=ensure_built().kubectl, kubeconfig=state / "kubeconfig")
    return {node["metadata"]["name"] for node in kubectl.items("nodes")}


def test_it_stays_after_the_command_takes_images_and_goes_without_a_trace(
    command: Command, state: Path
) -> None:
    before = ours()
    up = command("up")
    assert (up.returncode, up.stdout) == (0, f"export KUBECONFIG={state / 'kubeconfig'}\n")
    assert nodes(state) == {"light", "high-cpu"}

    again = command("up")
    assert (again.returncode, again.stdout) == (1, "")
    assert "make cluster-down" in again.stderr

    assert command("load", state / "run" / "probe.tar").returncode == 0
    assert command("down").returncode == 0
    assert ours() == before
    assert not (state / "run").exists()


def test_after_its_harness_was_ended_from_outside_nothing_runs_and_another_can_start(
    command: Command, state: Path
) -> None:
    before = ours()
    command("up")
    told = json.loads((state / "state.json").read_text())
    os.kill(told["harness"], signal.SIGKILL)

    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in told["machines"].values()):
        assert time.monotonic() < deadline, "a node outlived its harness"
        time.sleep(0.1)

    assert command("load", state / "run" / "probe.tar").returncode == 1
    assert command("up").returncode == 0
    assert nodes(state) == {"light", "high-cpu"}
    assert command("down").returncode == 0
    assert ours() == before


def test_without_a_cluster_down_has_nothing_to_do_and_load_says_so(
    command: Command, tmp_path: Path
) -> None:
    assert command("down").returncode == 0
    load = command("load", tmp_path / "shop.tar")
    assert (load.returncode, load.stderr) == (1, "no cluster stands; start one: make cluster\n")
