"""A cluster with nodes, whoever provides it.

``local`` starts one on this machine and ``kind`` one in Docker; ``existing`` is
one that the user has. Tests see :class:`Cluster`; what only one provider can do
(stop an API server, say) they ask of that provider's own class.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from testcluster.archive import write_image
from testcluster.build import ensure_built
from testcluster.kubectl import Kubectl
from testcluster.local import POOLS, PROBE_IMAGE, ClusterNeedsError, LocalCluster, check_needs

KIND_CONFIG = Path(__file__).with_name("kind.yaml")
KIND_CLUSTER = "sluiceway-tests"


class Provider(StrEnum):
    """Where the nodes come from."""

    LOCAL = "local"
    KIND = "kind"
    EXISTING = "existing"


class Cluster(Protocol):
    """Two pools of nodes, and an administrator's kubectl."""

    @property
    def kubectl(self) -> Kubectl: ...

    def load_image(self, archive: Path) -> None:
        """Make an image of a docker archive known to all nodes.

        Raises:
            ClusterNeedsError: this provider cannot load images.
        """


@dataclass(frozen=True, kw_only=True)
class KindCluster:
    """The cluster :data:`KIND_CLUSTER` of kind, which runs already."""

    kubectl: Kubectl

    def load_image(self, archive: Path) -> None:
        load_into_kind(archive)


@dataclass(frozen=True, kw_only=True)
class ExistingCluster:
    """A cluster of the user's own."""

    kubectl: Kubectl

    def load_image(self, archive: Path) -> None:
        raise ClusterNeedsError(
            f"{archive.name} cannot be loaded into an existing cluster; push the image to a "
            "registry that its nodes pull from"
        )


@contextmanager
def provide(provider: Provider) -> Iterator[Cluster]:
    """A cluster for the time of the context.

    Raises:
        ClusterNeedsError: the provider cannot work here; the message says why.
    """
    # Not below pytest's folder, which keeps what its last three runs wrote.
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        folder = Path(name)
        match provider:
            case Provider.LOCAL:
                # Before the build: minutes would pass until the refusal.
                check_needs()
                with LocalCluster(ensure_built(), folder) as local:
                    yield local
            case Provider.KIND:
                kind = create_kind_cluster(folder / "kubeconfig")
                try:
                    _load_probe(kind, folder)
                    yield kind
                finally:
                    delete_kind_cluster()
            case Provider.EXISTING:
                yield _existing_cluster()


def create_kind_cluster(kubeconfig: Path) -> KindCluster:
    """Start one and write its credentials to `kubeconfig`."""
    if missing := [program for program in ("kind", "docker") if shutil.which(program) is None]:
        raise ClusterNeedsError(f"the provider `kind` needs {' and '.join(missing)} on PATH")
    command = ("create", "cluster", "--name", KIND_CLUSTER, "--wait", "180s")
    _kind(*command, "--config", str(KIND_CONFIG), "--kubeconfig", str(kubeconfig))
    return KindCluster(kubectl=Kubectl(program=_kubectl(), kubeconfig=kubeconfig))


def delete_kind_cluster() -> None:
    """Take it away, if it is there."""
    _kind("delete", "cluster", "--name", KIND_CLUSTER)


def load_into_kind(archive: Path) -> None:
    """Make an image of a docker archive known to the nodes of :data:`KIND_CLUSTER`."""
    _kind("load", "image-archive", str(archive), "--name", KIND_CLUSTER)


def _existing_cluster() -> ExistingCluster:
    kubeconfig = os.environ.get("KUBECONFIG")
    if kubeconfig is None:
        raise ClusterNeedsError("the provider `existing` needs KUBECONFIG to name a cluster")
    kubectl = Kubectl(program=_kubectl(), kubeconfig=Path(kubeconfig))
    for pool in POOLS:
        if not kubectl.items("nodes", f"--selector=pool={pool}"):
            raise ClusterNeedsError(
                f"the cluster of {kubeconfig} has no node with the label pool={pool}: "
                f"kubectl label node NAME pool={pool}"
            )
    return ExistingCluster(kubectl=kubectl)


def _load_probe(cluster: KindCluster, folder: Path) -> None:
    archive = folder / "probe.tar"
    write_image(archive, name=PROBE_IMAGE, program=ensure_built().probe)
    cluster.load_image(archive)


def _kubectl() -> Path:
    """The one that people here use, or the one we can build."""
    found = shutil.which("kubectl")
    return Path(found) if found is not None else ensure_built().kubectl


def _kind(*arguments: str) -> None:
    done = subprocess.run(["kind", *arguments], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    message = f"kind {' '.join(arguments[:2])} failed:\n{done.stderr.strip()}"
    if "pull" in done.stderr:
        message += (
            "\nkind needs its node image, kindest/node, from an image registry. Where none is "
            "reached, use --cluster=local."
        )
    raise ClusterNeedsError(message)
