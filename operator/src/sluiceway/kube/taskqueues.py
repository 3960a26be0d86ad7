"""TaskQueues as the API server shows them: what a person is told of each.

The status only; a decision is made from the spec, which the handlers bring. Another
version may have written it, so everything may be missing and nothing unknown is minded.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sluiceway.api.taskqueue import GROUP, VERSION
from sluiceway.kube.listwatch import PAGE, Asks
from sluiceway.kube.views import Resource, VersionedMetadata, View


class Condition(View, frozen=True, omit_defaults=True):
    """One of a TaskQueue's conditions."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class Step(View, frozen=True, omit_defaults=True):
    """One step of the chain that led to a number."""

    name: str = ""
    replicas: int | None = None
    message: str = ""


class Change(View, frozen=True, omit_defaults=True):
    """One decision that changed the number of workers."""

    time: datetime | None = None
    from_: int | None = msgspec.field(default=None, name="from")
    to: int | None = None
    reason: str = ""
    message: str = ""
    steps: tuple[Step, ...] = ()


class Status(View, frozen=True, omit_defaults=True):
    """What the operator sees and decided; None where it is not known."""

    observed_generation: int = 0
    queue_names: str = ""
    """Separated by commas."""
    class_name: str = ""
    waiting: int | None = None
    in_flight: int | None = None
    scheduled: int | None = None
    oldest_task_age: str = ""
    arrival_rate: str = ""
    mean_run_time: str = ""
    desired_replicas: int | None = None
    replicas: int | None = None
    ready_replicas: int | None = None
    starting_replicas: int | None = None
    draining_replicas: int | None = None
    silent_replicas: int | None = None
    reason: str = ""
    message: str = ""
    changes: tuple[Change, ...] = ()
    """Newest first."""
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if there is one."""
        return next((one for one in self.conditions if one.type == kind), None)


class TaskQueueSeen(View, frozen=True):
    """A TaskQueue, as far as it is shown to people."""

    metadata: VersionedMetadata = VersionedMetadata()
    status: Status = Status()

    @property
    def up_to_date(self) -> bool:
        """Whether the status speaks of the spec as it is now."""
        return self.status.observed_generation >= self.metadata.generation

    @property
    def queues(self) -> tuple[str, ...]:
        """The Celery queues that it serves; empty while nobody has looked at it."""
        return tuple(name for name in self.status.queue_names.split(",") if name)


TASKQUEUES = Resource(view=TaskQueueSeen, api=f"/apis/{GROUP}/{VERSION}", plural="taskqueues")


class _ListMetadata(msgspec.Struct):
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[TaskQueueSeen]


async def list_taskqueues(client: Asks, namespace: str | None) -> list[TaskQueueSeen]:
    """All of a namespace, or with None of the whole cluster, in the order of their keys.

    Raises:
        KubeError: they cannot be had; 404 where the cluster does not know the kind.
    """
    found: list[TaskQueueSeen] = []
    query = {"limit": str(PAGE)}
    while True:
        body = await client.request("GET", TASKQUEUES.path(namespace), query=query)
        page = msgspec.json.decode(body, type=_List)
        found += page.items
        if not page.metadata.continue_:
            return sorted(found, key=lambda one: one.metadata.key)
        query["continue"] = page.metadata.continue_
