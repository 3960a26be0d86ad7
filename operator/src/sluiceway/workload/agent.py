"""How the agent comes into a worker's pod, and how a kubelet asks whether it is well.

``inject`` copies it from the agent's image onto a mount that the worker can only read.
The launcher there does the rest, so that neither PYTHONPATH nor anything else of the
user's image is replaced.
"""

from __future__ import annotations

from typing import Any

MOUNT = "/sluiceway"
"""Where the worker finds launcher and agent, each in a folder of its own."""

LAUNCHER = f"{MOUNT}/launcher/launcher.py"

VOLUME = "sluiceway-agent"

PROBE_PORT = 9817
"""Open while the worker is well; served by the launcher."""

ENV_PROBE_PORT = "SLUICEWAY_PROBE_PORT"

_IN_AGENT_IMAGE = "/agent"

_WITHOUT_END = 10 * 365 * 24 * 3600
"""Ten years of seconds, because a probe needs a number."""


def carrier(image: str, security: dict[str, Any]) -> dict[str, Any]:
    """The init container that lays the agent onto its volume."""
    return {
        "name": VOLUME,
        "image": image,
        "command": ["cp", "-R", f"{_IN_AGENT_IMAGE}/.", MOUNT],
        # Small enough to change nothing for the scheduler; a quota may ask that they be there.
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "500m", "memory": "64Mi"},
        },
        "securityContext": security,
        "volumeMounts": [{"name": VOLUME, "mountPath": MOUNT}],
    }


def probes() -> dict[str, Any]:
    """What a kubelet asks: whether the launcher's port is open, and nothing more.

    The kernel answers a connection to an open port, so a worker that computes without
    a pause is never taken for one that hangs. Starting may take any time (an entrypoint
    that waits, a broker that is not there yet), so it is waited for without an end.
    There is no readiness probe: a busy worker would be the first to be removed.
    """
    port = {"tcpSocket": {"port": PROBE_PORT}, "timeoutSeconds": 5}
    return {
        "startupProbe": {**port, "periodSeconds": 1, "failureThreshold": _WITHOUT_END},
        "livenessProbe": {
            **port,
            "periodSeconds": 20,
            "failureThreshold": 3,
            # No task runs when it fails: there is nothing to wait longestTask for.
            "terminationGracePeriodSeconds": 10,
        },
    }
