"""The configuration files of a node's programs, as texts.

Every setting that differs from a program's default says why. JSON is written
where YAML is read: one is the other.
"""

from __future__ import annotations

import json
from pathlib import Path

CLUSTER_DNS = "10.0.0.10"
CLUSTER_DOMAIN = "cluster.local"
PAUSE_IMAGE = "sluiceway.dev/test-cluster/pause:built"

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
"""Where distributions, and Kubernetes' own guides, put the network plugins."""


def cni_folder() -> Path | None:
    """The folder of the machine's network plugins, if it has them."""
    return next((folder for folder in CNI_FOLDERS if (folder / "ptp").exists()), None)


def containerd(*, root: Path, network: Path) -> str:
    """
    Args:
        root: for images and containers.
        network: the folder of the CNI configuration.
    """
    return f"""\
version = 2
root = "{root}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # A machine without CAP_SYS_RESOURCE may not lower a process's oom score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_folder()}"
    conf_dir = "{network}"
"""


def network(pod_range: str) -> str:
    """A CNI configuration: each pod has a cable of its own to the node.

    Not a bridge: traffic between two pods of one node would bypass the node's
    address translation there, and a Service's answer would come from a stranger.
    """
    return json.dumps(
        {
            "cniVersion": "0.4.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": "/run/cni",
                        "ranges": [[{"subnet": pod_range}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        },
        indent=2,
    )


def kubelet(*, authority: Path, cgroup: str) -> str:
    """
    Args:
        authority: the certificate that the API server's own is signed by.
        cgroup: below which the pods' cgroups are made.
    """
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "x509": {"clientCAFile": str(authority)},
                "anonymous": {"enabled": False},
            },
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "clusterDNS": [CLUSTER_DNS],
            "clusterDomain": CLUSTER_DOMAIN,
            # The host's name servers cannot be reached from the cluster.
            "resolvConf": "",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{cgroup}",
            # Machines differ: version 1, swap, and filesystems that cannot tell usage.
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            # The host's disk may be nearly full; that is none of the tests' business.
            "evictionHard": {
                "memory.available": "50Mi",
                "nodefs.available": "0%",
                "nodefs.inodesFree": "0%",
                "imagefs.available": "0%",
            },
            # Images are loaded, never pulled: a collected one would not come back.
            "imageGCHighThresholdPercent": 100,
            "imageMaximumGCAge": "0s",
        },
        indent=2,
    )


def kube_proxy(*, kubeconfig: Path, pod_range: str) -> str:
    """
    Args:
        kubeconfig: its credentials.
        pod_range: where the pods of all nodes have their addresses.
    """
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": pod_range,
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            # These limits belong to the whole kernel; the host's stay as they are.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "oomScoreAdj": 0,
        },
        indent=2,
    )
