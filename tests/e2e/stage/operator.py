"""The operator as it ships, in a cluster."""

from __future__ import annotations

from typing import Any

from testcluster.kubectl import Kubectl
from testcluster.paths import MANIFESTS

from stage.until import until

NAMESPACE = "sluiceway-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:sluiceway"


class Operator:
    """The installed operator: two replicas, one of which acts."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.cluster = kubectl
        self.kubectl = kubectl.within(NAMESPACE)

    def install(self) -> None:
        """As a platform team does it; returns when both replicas are ready."""
        self.cluster.run("apply", "-k", MANIFESTS / "base")
        self.cluster.run("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")
        self.await_ready()

    def await_ready(self) -> None:
        """Return when all replicas are ready."""
        outcome = self.kubectl.try_run(
            "rollout", "status", "deployment/sluiceway", "--timeout=110s"
        )
        assert outcome.code == 0, f"{outcome.stderr}\n{self.logs()}"

    def scale(self, replicas: int) -> None:
        """Run so many; returns when the others are gone."""
        self.kubectl.run("scale", "deployment/sluiceway", f"--replicas={replicas}")
        until(lambda: len(self.pods()) <= replicas, that=f"{replicas} operators are left")
        if replicas:
            self.await_ready()

    def pods(self) -> list[dict[str, Any]]:
        """All that are there, leaving ones included."""
        return self.kubectl.items("pods", "--selector=app.kubernetes.io/component=operator")

    def leader(self) -> str:
        """The pod that holds the Lease."""

        def ask() -> str | None:
            holder = self.lease().get("holderIdentity") or ""
            names = [pod["metadata"]["name"] for pod in self.pods()]
            return next((name for name in names if holder.startswith(name)), None)

        return until(ask, that="one of the operator's pods leads") or ""

    def lease(self) -> dict[str, Any]:
        """The Lease's spec; empty where there is none yet."""
        leases = self.kubectl.items("leases")
        found = [one["spec"] for one in leases if one["metadata"]["name"] == "sluiceway"]
        return found[0] if found else {}

    def logs(self) -> str:
        """The last lines of each replica, and what Kubernetes says of them."""
        said = []
        for pod in self.pods():
            name = pod["metadata"]["name"]
            for more in ((), ("--previous",)):
                outcome = self.kubectl.try_run("logs", name, "--tail=60", *more)
                if outcome.code == 0:
                    said.append(f"--- {name} {' '.join(more)}\n{outcome.stdout}")
        return "\n".join(said)
