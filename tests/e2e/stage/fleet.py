"""A fleet as people look at it: its TaskQueue's status, its Deployment, its pods."""

from __future__ import annotations

from typing import Any

from testcluster.kubectl import Kubectl

from stage.until import until


class Fleet:
    """The fleet of one TaskQueue."""

    def __init__(self, kubectl: Kubectl, name: str, *, deployment: str | None = None) -> None:
        self.kubectl = kubectl
        self.name = name
        self.deployment = deployment or f"{name}-worker"
        self.selector = f"--selector=sluiceway.dev/taskqueue={name}"

    @property
    def status(self) -> dict[str, Any]:
        """The TaskQueue's; empty while it has none."""
        status: dict[str, Any] = self.kubectl.get("taskqueue", self.name).get("status", {})
        return status

    @property
    def replicas(self) -> int:
        """What is asked of the Deployment."""
        return int(self.kubectl.get("deployment", self.deployment)["spec"]["replicas"])

    def at_rest(self) -> tuple[Any, ...]:
        """All that lasts: what is asked of the Deployment, who is there, what is said."""
        said = {one["type"]: one["status"] for one in self.status.get("conditions", ())}
        stored = self.kubectl.get("deployment", self.deployment)
        return stored["spec"], len(self.pods()), said

    def pods(self) -> list[dict[str, Any]]:
        """Those that are there, leaving ones included."""
        return self.kubectl.items("pods", self.selector)

    def condition(self, kind: str) -> dict[str, Any] | None:
        """One condition of the status, if it is there."""
        found = [one for one in self.status.get("conditions", ()) if one["type"] == kind]
        return found[0] if found else None

    def ready_is(self, reason: str) -> bool:
        """Whether the condition Ready has that reason now."""
        return (self.condition("Ready") or {}).get("reason") == reason

    def await_condition(self, kind: str, status: str = "True") -> dict[str, Any]:
        """The condition, as soon as it has that status."""

        def ask() -> dict[str, Any] | None:
            found = self.condition(kind)
            return found if found is not None and found["status"] == status else None

        return until(ask, that=f"{self.name} has {kind}={status}") or {}

    def await_deployment(self) -> None:
        """Return when the Deployment is there."""
        self.kubectl.run("wait", f"deployment/{self.deployment}", "--for=create", "--timeout=60s")

    def await_replicas(self, count: int) -> None:
        """Return when so many are asked for."""
        self.kubectl.run(
            *("wait", f"deployment/{self.deployment}", "--timeout=110s"),
            f"--for=jsonpath={{.spec.replicas}}={count}",
        )

    def await_ready(self, count: int) -> None:
        """Return when so many are asked for and say that they are ready."""
        self.await_replicas(count)
        until(lambda: self._ready() == count, that=f"{self.deployment} has {count} ready replicas")

    def _ready(self) -> int:
        status = self.kubectl.get("deployment", self.deployment).get("status", {})
        return int(status.get("readyReplicas", 0))
