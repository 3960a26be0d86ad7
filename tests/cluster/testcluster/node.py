"""One node: containerd, kubelet and kube-proxy on a machine made of namespaces.

The machine's first process is the one that also holds a pod's sandbox. When it
ends, the kernel ends everything else on the node, and its mounts and sockets go
as well: a node leaves no process behind, however its harness came to its end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from testcluster import cgroups, node_files
from testcluster.build import Programs
from testcluster.credentials import Credentials
from testcluster.network import Port
from testcluster.processes import Process, is_frozen

START_SECONDS = 60.0

TAINTED_POOLS = frozenset({"high-cpu"})
"""Pools whose nodes take only pods that tolerate `pool=<name>:NoSchedule`."""


class NodeError(RuntimeError):
    """A command on a node failed; the message is its standard error."""


class Node:
    """A node of the pool that it is named after."""

    def __init__(
        self,
        pool: str,
        port: Port,
        *,
        programs: Programs,
        credentials: Credentials,
        folder: Path,
        pod_range: str,
    ) -> None:
        """
        Args:
            pool: the node's name and the value of its label `pool`.
            port: its place in the cluster's network.
            programs: what :func:`testcluster.build.ensure_built` returned.
            credentials: those of the control plane, which know the node by name.
            folder: for images, containers and logs.
            pod_range: where the pods of all nodes have their addresses.
        """
        self.pool = pool
        self.folder = folder
        self._port = port
        self._programs = programs
        self._credentials = credentials
        self._pod_range = pod_range
        self._machine = Process(
            f"node {pool}",
            [programs.pause],
            log=folder / "machine.log",
            entry=[
                *port.entry,
                *("unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--uts"),
            ],
        )
        self._started: list[Process] = []

    def start(self) -> None:
        """Start the machine and its container runtime; images may be loaded after that."""
        for name in ("lib", "log", "network"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._write_files()
        cgroups.create(self._port.netns)
        self._machine.start()
        self._machine.wait_until(self._has_first_process, START_SECONDS)
        self._furnish()
        runtime = self._run("containerd", "containerd", "--config", self._file("containerd.toml"))
        runtime.wait_until(self._runtime_answers, START_SECONDS)

    def join(self) -> None:
        """Start the kubelet and the proxy; the node registers and becomes Ready by itself."""
        user = self._credentials.kubeconfig(f"system:node:{self.pool}")
        taints = [f"--register-with-taints=pool={self.pool}:NoSchedule"]
        self._run(
            "kubelet",
            self._programs.kube,
            "kubelet",
            f"--config={self._file('kubelet.yaml')}",
            f"--kubeconfig={user}",
            f"--hostname-override={self.pool}",
            f"--node-ip={self._port.address}",
            f"--node-labels=pool={self.pool}",
            *(taints if self.pool in TAINTED_POOLS else []),
        )
        self._run(
            "kube-proxy",
            self._programs.kube,
            "kube-proxy",
            f"--config={self._file('kube-proxy.yaml')}",
            f"--hostname-override={self.pool}",
        )

    def freeze(self) -> None:
        """Stop all that runs on it where it is: connections stay open and nothing answers."""
        # Whoever starts another at this moment is seen in the next turn.
        while fresh := [pid for pid in self._processes() if not is_frozen(pid)]:
            for pid in fresh:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def crash(self) -> None:
        """End all that runs on it, as when the power fails; ``start`` and ``join`` boot it again.

        What it wrote to its disk is still there then.
        """
        self._machine.crash()
        for process in self._started:
            process.crash()
        self._started.clear()
        cgroups.remove(self._port.netns)

    def stop(self) -> None:
        """Take the machine away with all that runs on it, its cgroups and its files."""
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def load_image(self, archive: Path) -> None:
        """Make an image of a docker or OCI archive known to the node's pods.

        Raises:
            NodeError: the archive cannot be read.
        """
        load_image(self.machine, archive)

    def command(self, *arguments: str) -> str:
        """Run a command on the node and return its standard output.

        Raises:
            NodeError: it failed.
        """
        return command(self.machine, *arguments)

    @property
    def machine(self) -> int:
        """The process id of the machine's first process; it names the node's namespaces."""
        return self._machine.pid

    @property
    def process(self) -> dict[str, Process]:
        """containerd, kubelet and kube-proxy by name, to freeze and to crash."""
        return {process.name: process for process in self._started}

    def _processes(self) -> list[int]:
        """All of it, pods included, seen from here."""
        children = defaultdict(list)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text(errors="replace").rpartition(")")[2].split()
                children[int(fields[1])].append(int(stat.parent.name))
        found = [self.machine, *(process.pid for process in self._started if process.running)]
        for pid in found:  # grows
            found += children[pid]
        return list(dict.fromkeys(found))

    def _run(self, name: str, *command: str | Path) -> Process:
        process = Process(name, command, log=self._file(f"{name}.log"), entry=_entry(self.machine))
        self._started.append(process)
        process.start()
        return process

    def _file(self, name: str) -> Path:
        return self.folder / name

    def _write_files(self) -> None:
        assert self._port.pods is not None, "a node's port has a range for its pods"
        network = self._file("network")
        (network / "pods.conflist").write_text(node_files.network(self._port.pods))
        self._file("containerd.toml").write_text(
            node_files.containerd(root=self._file("lib") / "containerd", network=network)
        )
        self._file("kubelet.yaml").write_text(
            node_files.kubelet(authority=self._credentials.authority, cgroup=self._port.netns)
        )
        self._file("kube-proxy.yaml").write_text(
            node_files.kube_proxy(
                kubeconfig=self._credentials.kubeconfig("system:kube-proxy"),
                pod_range=self._pod_range,
            )
        )

    def _furnish(self) -> None:
        """Give the machine what the host must not share with it."""
        self.command(
            *("sh", "-ec"),
            f"""
            hostname {self.pool}
            # Pods' mounts must reach the kubelet, and none of them the host.
            mount --make-rshared /
            mount -t tmpfs tmpfs /run
            mount --bind {self._file("lib")} /var/lib
            mount --bind {self._file("log")} /var/log
            """,
        )

    def _has_first_process(self) -> bool:
        try:
            return self._machine.pid > 0
        except LookupError:
            return False

    def _runtime_answers(self) -> bool:
        try:
            self.command("ctr", "version")
        except NodeError:
            return False
        return True


def command(machine: int, *arguments: str) -> str:
    """Run a command on the node whose first process is `machine`; as :meth:`Node.command`."""
    done = subprocess.run(
        [*_entry(machine), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NodeError(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def load_image(machine: int, archive: Path) -> None:
    """Load an image into the node whose first process is `machine`."""
    command(machine, "ctr", "--namespace=k8s.io", "images", "import", str(archive.resolve()))


def _entry(machine: int) -> list[str]:
    return ["nsenter", f"--target={machine}", "--pid", "--mount", "--uts", "--net"]
