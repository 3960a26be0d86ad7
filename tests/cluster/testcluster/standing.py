"""A cluster that stays after the command that started it, for people to work with.

A local cluster lives as long as its harness. :func:`up` therefore starts a harness
in the background (:func:`hold`), and :func:`down` asks it to end. The two meet in
one file, which also tells :func:`load` where the nodes are.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from testcluster.build import ensure_built
from testcluster.local import ClusterNeedsError, LocalCluster, check_needs
from testcluster.node import load_image
from testcluster.paths import state_folder
from testcluster.processes import StartError
from testcluster.provider import (
    Provider,
    create_kind_cluster,
    delete_kind_cluster,
    load_into_kind,
)

END_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class State:
    """What is known of the standing cluster."""

    provider: Provider
    harness: int | None = None
    """The local cluster's harness, a process id."""
    machines: dict[str, int] = field(default_factory=dict)
    """The first process of each local node, by pool."""


def kubeconfig() -> Path:
    """The administrator's credentials for the standing cluster."""
    return state_folder() / "kubeconfig"


def up(provider: Provider) -> None:
    """Start the standing cluster; returns once it is ready.

    Raises:
        ClusterNeedsError: one stands already, or the provider cannot work here.
        StartError: the harness ended before the cluster was ready.
    """
    if _read() is not None:
        raise ClusterNeedsError("a cluster stands already; take it away first: make cluster-down")
    state_folder().mkdir(parents=True, exist_ok=True)
    # Of a harness that was ended from outside; the next one's lock would revive it.
    _state_file().write_text("")
    if provider is Provider.KIND:
        create_kind_cluster(kubeconfig())
        _write(State(provider=provider))
        return
    check_needs()
    ensure_built()
    log = state_folder() / "harness.log"
    with log.open("wb") as output:
        harness = subprocess.Popen(
            [sys.executable, Path(__file__).resolve().parents[1], "hold"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    while _read() is None:
        if harness.poll() is not None:
            raise StartError(f"the cluster did not start:\n{log.read_text().strip()}")
        time.sleep(0.1)


def hold() -> None:
    """Be the harness of the standing local cluster, until SIGTERM."""
    # Held until this process ends, however it ends: that is how others know it lives.
    with _state_file().open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = state_folder() / "run"
        shutil.rmtree(folder, ignore_errors=True)
        with LocalCluster(ensure_built(), folder) as cluster:
            shutil.copyfile(cluster.kubectl.kubeconfig, kubeconfig())
            kubeconfig().chmod(0o600)
            machines = {pool: node.machine for pool, node in cluster.nodes.items()}
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            _write(State(provider=Provider.LOCAL, harness=os.getpid(), machines=machines))
            signal.sigwait({signal.SIGTERM})
        shutil.rmtree(folder, ignore_errors=True)
        file.truncate(0)


def down() -> None:
    """Take the standing cluster away, if there is one."""
    state = _read()
    if state is None:
        return
    if state.harness is not None:
        os.kill(state.harness, signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while _read() is not None and time.monotonic() < deadline:
            time.sleep(0.1)
    else:
        delete_kind_cluster()
        _state_file().write_text("")
    kubeconfig().unlink(missing_ok=True)


def load(archive: Path) -> None:
    """Make an image of a docker archive known to the standing cluster's nodes.

    Raises:
        ClusterNeedsError: no cluster stands.
    """
    state = _read()
    if state is None:
        raise ClusterNeedsError("no cluster stands; start one: make cluster")
    if state.provider is Provider.KIND:
        load_into_kind(archive)
    for machine in state.machines.values():
        load_image(machine, archive)


def _state_file() -> Path:
    return state_folder() / "state.json"


def _write(state: State) -> None:
    _state_file().write_text(json.dumps(asdict(state)))


def _read() -> State | None:
    """The state of the standing cluster; None where none stands (any more)."""
    try:
        text = _state_file().read_text()
        state = State(**json.loads(text))
    except (FileNotFoundError, ValueError):
        return None
    if state.harness is None:
        return state
    with _state_file().open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return state
    return None
