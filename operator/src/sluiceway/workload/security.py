"""The security contexts of a worker's pod: what Kubernetes' profile ``restricted`` asks for.

Every namespace takes such a pod. A template or the followed Deployment may choose
another user; nothing here is needed by the agent itself.
"""

from __future__ import annotations

from typing import Any

USER = 65532
"""Set, because many images name no user or name one by a word, and a kubelet starts
neither as non-root. The group is left at Kubernetes' 0, by which the files of images
that were made for any user are readable."""

TMP = "/tmp"
TMP_VOLUME = "sluiceway-tmp"
"""The one place to write to on a read-only root."""


def of_pod() -> dict[str, Any]:
    """The pod's ``securityContext``."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def of_container() -> dict[str, Any]:
    """A container's ``securityContext``."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
