"""The operator as it ships, in a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from testcluster.kubectl import Kubectl
from testcluster.local import ClusterNeedsError
from testcluster.paths import MANIFESTS

from stage.objects import CLASSES
from stage.until import until

NAMESPACE = "sluiceway-system"
CRD = "taskqueues.sluiceway.dev"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:sluiceway"


class Operator:
    """The installed operator: two replicas, one of which acts."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.cluster = kubectl
        self.kubectl = kubectl.within(NAMESPACE)

    def install(self) -> None:
        """As a platform team does it, with its classes; returns when both replicas are ready."""
        self.cluster.run("apply", "-k", MANIFESTS / "base")
        self.cluster.run("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")
        self.await_ready()
        for one in CLASSES:
            self.cluster.apply(json.dumps(one))

    @contextmanager
    def for_a_while(self) -> Iterator[None]:
        """Leave a user's cluster as it was found.

        Raises:
            ClusterNeedsError: it has TaskQueues of its own, which would go with ours.
        """
        if self.cluster.try_run("get", "crd", CRD).code == 0:
            raise ClusterNeedsError(
                f"the cluster of {self.cluster.kubeconfig} has {CRD} already, and the scenes "
                "install and remove them: use a cluster without Sluiceway"
            )
        try:
            yield
        finally:
            self.remove()

    def remove(self) -> None:
        """Returns when it is gone, its namespace and the CRDs with all their objects, too."""
        self.cluster.run("delete", "--ignore-not-found", "-k", MANIFESTS / "base")

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

    def metric(self, name: str, **labels: str) -> float:
        """What the leader counts: the sum of all samples of that name with those labels."""
        pod = f"/api/v1/namespaces/{NAMESPACE}/pods/{self.leader()}:8080"
        text = self.cluster.run("get", "--raw", f"{pod}/proxy/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def logs(self, which: str = "--tail=60") -> str:
        """What each replica has said, the process before the last restart included.

        Args:
            which: of its lines, as ``kubectl logs`` has it; the last ones otherwise.
        """
        said = []
        for pod in self.pods():
            name = pod["metadata"]["name"]
            for more in ((), ("--previous",)):
                outcome = self.kubectl.try_run("logs", name, which, *more)
                if outcome.code == 0:
                    said.append(f"--- {name} {' '.join(more)}\n{outcome.stdout}")
        return "\n".join(said)
