"""The cluster's own network: a hub with a cable to each node and one to the host.

The hub and every node are network namespaces, so nodes have addresses, ports and
iptables rules of their own, as machines have, and the host's stay as they were.
There is no way out of the hub: nothing in the cluster can reach the internet.

    host 10.46.0.1 ──┐
                     ├─ hub 10.46.0.2 (control plane)
    node 10.46.0.11 ─┤    pods 10.46.1.0/24
    node 10.46.0.12 ─┘    pods 10.46.2.0/24
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FIRST_RANGE = 46
RANGES = 8
"""Clusters that may run side by side on one machine, in 10.46.0.0/16 to 10.53.0.0/16."""


class NetworkError(RuntimeError):
    """A device could not be made, or the machine has no room for one more cluster."""


@dataclass(frozen=True, kw_only=True)
class Port:
    """One end of a cable: a namespace with an address on the hub's network."""

    netns: str
    address: str
    pods: str | None = None
    """The range that its pods take theirs from; None where no pods run."""

    @property
    def entry(self) -> tuple[str, ...]:
        """Put before a command, runs it in the namespace."""
        return ("nsenter", f"--net=/run/netns/{self.netns}")


class Network:
    """Made with :meth:`create`, gone with :meth:`remove`, never in another cluster's way."""

    def __init__(self, nodes: tuple[str, ...]) -> None:
        self._number, self._lock = _take_number()
        name = f"sluiceway{self._number}"
        base = f"10.{FIRST_RANGE + self._number}"
        self.name = name
        self.pod_range = f"{base}.0.0/16"
        self.host_address = f"{base}.0.1"
        self.hub = Port(netns=f"{name}-hub", address=f"{base}.0.2")
        self.nodes = {
            node: Port(
                netns=f"{name}-{node}",
                address=f"{base}.0.{10 + number}",
                pods=f"{base}.{number}.0/24",
            )
            for number, node in enumerate(nodes, start=1)
        }

    def create(self) -> None:
        """Lay all cables; what an earlier cluster of this number left behind goes first."""
        self._remove_namespaces()
        hub = self.hub.netns
        _ip("netns", "add", hub)
        _ip("-n", hub, "link", "set", "lo", "up")
        _ip("-n", hub, "link", "add", "hub", "type", "bridge")
        _ip("-n", hub, "addr", "add", f"{self.hub.address}/24", "dev", "hub")
        _ip("-n", hub, "link", "set", "hub", "up")

        self._cable(None, self._host_device, self.host_address, "host")
        for number, port in enumerate(self.nodes.values(), start=1):
            _ip("netns", "add", port.netns)
            _ip("-n", port.netns, "link", "set", "lo", "up")
            self._cable(port.netns, "eth0", port.address, f"node{number}")
            forward = ("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            _ip("netns", "exec", port.netns, *forward)

        for port in self.nodes.values():
            _ip("route", "add", str(port.pods), "via", port.address)
            _ip("-n", hub, "route", "add", str(port.pods), "via", port.address)
            for other in self.nodes.values():
                if other is not port:
                    _ip("-n", other.netns, "route", "add", str(port.pods), "via", port.address)

    def remove(self) -> None:
        """Take everything away; the number is free again."""
        self._remove_namespaces()
        os.close(self._lock)

    @property
    def _host_device(self) -> str:
        return f"{self.name}-host"[:15]

    def _cable(self, netns: str | None, device: str, address: str, hub_device: str) -> None:
        place = ("-n", netns) if netns is not None else ()
        peer = ("peer", "name", hub_device, "netns", self.hub.netns)
        _ip(*place, "link", "add", device, "type", "veth", *peer)
        _ip(*place, "addr", "add", f"{address}/24", "dev", device)
        _ip(*place, "link", "set", device, "up")
        _ip("-n", self.hub.netns, "link", "set", hub_device, "master", "hub", "up")

    def _remove_namespaces(self) -> None:
        # A cable goes with either of its ends.
        with suppress(NetworkError):
            _ip("link", "delete", self._host_device)
        for path in Path("/run/netns").glob(f"{self.name}-*"):
            _ip("netns", "delete", path.name)


def _take_number() -> tuple[int, int]:
    """The first number that no living harness holds, and the descriptor of the lock on it."""
    for number in range(RANGES):
        lock = os.open(f"/run/lock/sluiceway-cluster-{number}", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
        else:
            return number, lock
    raise NetworkError(f"{RANGES} test clusters run on this machine already")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise NetworkError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
