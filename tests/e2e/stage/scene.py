"""One scene: a namespace with a broker, a ledger, and fleets that work."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from testcluster.kubectl import Kubectl

from stage.counting import Tasks
from stage.fleet import Fleet
from stage.objects import taskqueue
from stage.servers import Server
from stage.until import until


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A namespace in which fleets work."""

    kubectl: Kubectl
    namespace: str
    broker: Server
    ledger: Server
    tasks: Tasks

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects to the namespace."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl.apply(json.dumps(listed))

    def fleet(self, name: str, **said: Any) -> Fleet:
        """Apply a TaskQueue of the counted application; returns when it is ready."""
        self.apply(taskqueue(name, self.broker, **said))
        fleet = Fleet(self.kubectl, name)
        fleet.await_condition("Ready")
        return fleet

    def patch(self, name: str, **spec: Any) -> None:
        """Change a TaskQueue, as ``kubectl edit`` does."""
        body = json.dumps({"spec": spec})
        self.kubectl.run("patch", "taskqueue", name, "--type=merge", f"--patch={body}")

    def await_all_done(self) -> None:
        """Return when every published task has ended."""
        until(self.tasks.done, that="every task has ended")
