"""The whole cluster on this machine: control plane, two nodes, cluster DNS.

Needs root, for namespaces and mounts, and a few programs of the distribution
(:data:`PACKAGES`). No image registry: pods run what was loaded.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from testcluster import node_files
from testcluster.archive import write_image
from testcluster.build import Programs
from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl
from testcluster.network import Network
from testcluster.node import Node

POOLS = ("light", "high-cpu")
"""One node each; `high-cpu` is tainted."""

PROBE_IMAGE = "sluiceway.dev/test-cluster/probe:built"
"""Looks at the cluster from within a pod: `wait`, `lookup NAME`, `get URL`."""

DNS_IMAGE = "sluiceway.dev/test-cluster/dns:built"
DNS_MANIFEST = Path(__file__).with_name("dns.yaml")

PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
"""Programs that nodes need, and the Debian packages that bring them."""

NETWORK_PLUGINS_PACKAGE = "containernetworking-plugins"

IMAGE_PACKAGES = {"dockerd": "docker.io", "debootstrap": "debootstrap"}
"""Beyond that, what building images needs where no Docker engine runs."""


class ClusterNeedsError(RuntimeError):
    """This machine cannot run nodes; the message says what it lacks."""


def missing_packages() -> list[str]:
    """Debian packages that would bring what nodes lack here."""
    missing = {package for program, package in PACKAGES.items() if shutil.which(program) is None}
    if node_files.cni_folder() is None:
        missing.add(NETWORK_PLUGINS_PACKAGE)
    return sorted(missing)


def missing_image_packages() -> list[str]:
    """Debian packages that would bring what building images lacks here."""
    return sorted(
        package for program, package in IMAGE_PACKAGES.items() if shutil.which(program) is None
    )


def check_needs() -> None:
    """
    Raises:
        ClusterNeedsError: nodes cannot run here.
    """
    if sys.platform != "linux":
        raise ClusterNeedsError("nodes run on Linux only; use the provider `kind` or `existing`")
    if os.geteuid() != 0:
        raise ClusterNeedsError("nodes need root, for network namespaces and mounts")
    if missing := missing_packages():
        raise ClusterNeedsError(f"nodes need programs: apt-get install {' '.join(missing)}")


class LocalCluster:
    """Two nodes and a control plane, as a context manager."""

    def __init__(self, programs: Programs, folder: Path) -> None:
        """
        Args:
            programs: what :func:`testcluster.build.ensure_built` returned.
            folder: for everything the cluster writes; made if it is not there.
                Images and containers take up to a few gigabytes.
        """
        check_needs()
        self.programs = programs
        self.folder = folder
        self._network = Network(POOLS)
        self.control_plane = ControlPlane(
            programs,
            folder / "control-plane",
            address=self._network.hub.address,
            nodes=POOLS,
            entry=self._network.hub.entry,
        )
        self.nodes = {
            pool: Node(
                pool,
                port,
                programs=programs,
                credentials=self.control_plane.credentials,
                folder=folder / pool,
                pod_range=self._network.pod_range,
            )
            for pool, port in self._network.nodes.items()
        }
        self._stack = ExitStack()

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the administrator."""
        return self.control_plane.kubectl

    def start(self) -> None:
        """Return once both nodes are Ready and names resolve.

        Raises:
            StartError: a program ended or hung; the message has its log.
            KubectlError: a node or the DNS did not become ready.
        """
        self._stack.callback(self._network.remove)
        self._network.create()
        self._stack.callback(self.control_plane.stop)
        self.control_plane.start()
        images = self._write_images()
        for node in self.nodes.values():
            self._stack.callback(node.stop)
            node.start()
            for image in images:
                node.load_image(image)
            node.join()
        self.kubectl.run("apply", "--filename", DNS_MANIFEST)
        names = [f"node/{pool}" for pool in self.nodes]
        self._await("create", *names)
        self._await("condition=Ready", *names)
        self._await("condition=Available", "deployment/coredns", "--namespace=kube-system")

    def stop(self) -> None:
        """Take everything away: processes, namespaces, cgroups, containers."""
        self._stack.close()

    def load_image(self, archive: Path) -> None:
        """Make an image of a docker or OCI archive known to all nodes."""
        for node in self.nodes.values():
            node.load_image(archive)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _await(self, what: str, *objects: str) -> None:
        self.kubectl.run("wait", f"--for={what}", "--timeout=90s", *objects)

    def _write_images(self) -> list[Path]:
        programs = {
            node_files.PAUSE_IMAGE: self.programs.pause,
            DNS_IMAGE: self.programs.dns,
            PROBE_IMAGE: self.programs.probe,
        }
        archives = []
        for name, program in programs.items():
            archive = self.folder / f"{program.name}.tar"
            write_image(archive, name=name, program=program)
            archives.append(archive)
        return archives
