"""In which namespace somebody is who names none, as kubectl has it."""

from __future__ import annotations

from pathlib import Path

from kubernetes.aio import config as kubeconfigs

from sluiceway.kube.client import usual_kubeconfig
from sluiceway.kube.errors import UNUSABLE, unusable

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def usual_namespace(kubeconfig: Path | None = None) -> str:
    """That of the kubeconfig's current context, or the pod's own; or else ``default``.

    Args:
        kubeconfig: as for ``KubeClient.connect``.

    Raises:
        KubeError: the kubeconfig cannot be read.
    """
    kubeconfig = kubeconfig or usual_kubeconfig()
    try:
        if kubeconfig is None:
            return _POD_NAMESPACE.read_text(encoding="utf-8").strip() or "default"
        _, current = kubeconfigs.list_kube_config_contexts(config_file=str(kubeconfig))
        return current["context"].get("namespace") or "default"
    except UNUSABLE as exc:
        raise unusable(kubeconfig, exc) from exc
