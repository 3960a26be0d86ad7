"""Redis-compatible servers in pods: the broker, and the ledger in which runs are counted.

They are two, because the broker is stopped and frozen by tests, and what was counted
must outlive that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import redis
from testcluster.kubectl import Kubectl

from stage.images import COUNTED
from stage.streams import forwarded
from stage.until import until

PORT = 6379

SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Server:
    """One server, its Service, and a client that works from here."""

    def __init__(self, kubectl: Kubectl, name: str, stack: ExitStack) -> None:
        self.name = name
        self._kubectl = kubectl
        self._stack = stack
        self._client: redis.Redis | None = None

    @property
    def url(self) -> str:
        """As pods of the namespace are given it."""
        return f"redis://{self.name}:{PORT}/0"

    @property
    def client(self) -> redis.Redis:
        """A client through a forwarded port; a new one after the server was stopped."""
        if self._client is None:
            target = f"pod/{self.name}"
            port = self._stack.enter_context(forwarded(self._kubectl, target, PORT))
            self._client = redis.Redis(host="127.0.0.1", port=port, socket_timeout=30)
            self._stack.callback(self._client.close)
        return self._client

    def stop(self) -> None:
        """End the server; its port is closed until ``start``, and it forgets nothing."""
        self._kubectl.run("exec", self.name, "--", "python", "-c", STOP)
        self.reach_again()

    def reach_again(self) -> None:
        """Take a new client from now on: the way through the API server broke."""
        self._client = None

    def start(self) -> None:
        """Start it again; returns when it answers."""
        self._kubectl.run("exec", self.name, "--", "rm", "/data/held")
        until(self._answers, that=f"{self.name} answers again")

    def _answers(self) -> bool:
        outcome = self._kubectl.try_run("exec", self.name, "--", "python", "-c", PING)
        return outcome.code == 0


STOP = """\
import pathlib, redis
pathlib.Path("/data/held").touch()
try:
    redis.Redis().shutdown()
except redis.ConnectionError:
    pass
"""
PING = "import redis; redis.Redis(socket_timeout=5).ping()"


@contextmanager
def served(kubectl: Kubectl, name: str) -> Iterator[Server]:
    """Start a server in the namespace; returns when it answers."""
    labels = {"app": name}
    container: dict[str, Any] = {
        "name": "server",
        "image": COUNTED,
        "command": ["python", "server.py"],
        "securityContext": SECURITY,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "nodeSelector": {"pool": "light"},
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    items = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": pod,
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": PORT}]},
        },
    ]
    kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    kubectl.run("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=100s")
    with ExitStack() as stack:
        server = Server(kubectl, name, stack)
        until(server._answers, that=f"{name} answers")
        yield server
