"""The TaskQueues and WorkerClasses of the cluster, judged, as the API server told them last.

Level-based: whoever is told of a change reads what holds now. An object that cannot be
used is kept with its problems, so that its status can say them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sluiceway.api.problem import Problem
from sluiceway.api.taskqueue import ObjectMeta, TaskQueue
from sluiceway.api.validate import judge
from sluiceway.api.workerclass import WorkerClass
from sluiceway.cluster.sharing import Sharing
from sluiceway.report.status_queue import NO_STATUS, encoded


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One TaskQueue."""

    key: str
    """``namespace/name``."""
    uid: str
    generation: int
    created: str
    """When it was made, as RFC 3339 in UTC: sorts by time."""
    taskqueue: TaskQueue | None
    """None where it has problems."""
    problems: tuple[Problem, ...] = ()

    @property
    def namespace(self) -> str:
        """Where it lives."""
        return self.key.partition("/")[0]

    @property
    def name(self) -> str:
        """What it is called there."""
        return self.key.partition("/")[2]


class Specs:
    """All of them, by name. Written by the handlers alone."""

    def __init__(self) -> None:
        self.taskqueues: dict[str, Spec] = {}
        """By ``namespace/name``."""
        self.classes: dict[str, WorkerClass] = {}
        self.told_classes: set[str] = set()
        """The names of those that exist, also of those that cannot be used."""
        self.statuses: dict[str, bytes] = {}
        """Each TaskQueue's status, which a new leader goes on from, as JSON: as an object it
        would be far larger."""
        self._sharing = Sharing()
        self.complete = False
        """Whether all that exist have been told once; nobody acts before."""
        self._listeners: list[Callable[[Collection[str]], None]] = []

    def listen(self, changed: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Be told the keys of TaskQueues that changed, or that a class may concern.

        Returns:
            What ends it.
        """
        self._listeners.append(changed)
        return lambda: self._listeners.remove(changed)

    def put_taskqueue(self, body: Mapping[str, Any]) -> None:
        """It exists, and looks like this."""
        meta = body["metadata"]
        key = f"{meta['namespace']}/{meta['name']}"
        self.statuses[key] = encoded(body.get("status") or {})
        before = self.taskqueues.get(key)
        generation = int(meta.get("generation", 0))
        if before is not None and (before.uid, before.generation) == (meta["uid"], generation):
            return  # a status of ours came back, or a label changed: the spec is the same
        # Who wrote which field is the greater part of what the API server keeps with it.
        read = {name: meta[name] for name in ObjectMeta.model_fields if name in meta}
        verdict = judge({**body, "metadata": read}, in_cluster=True)
        taskqueue = None
        if isinstance(verdict.object, TaskQueue):
            taskqueue = self._sharing.shared(verdict.object, body["spec"])
        self.taskqueues[key] = Spec(
            key=key,
            uid=meta["uid"],
            generation=generation,
            created=meta.get("creationTimestamp", ""),
            taskqueue=taskqueue,
            problems=verdict.problems,
        )
        self._tell({key})

    def is_new(self, key: str) -> bool:
        """Whether this TaskQueue has no status yet."""
        return self.statuses.get(key, NO_STATUS) == NO_STATUS

    def remove_taskqueue(self, key: str, uid: str) -> None:
        """That one exists no more; one of the same name that was made since stays."""
        there = self.taskqueues.get(key)
        if there is not None and there.uid == uid:
            del self.taskqueues[key]
            self.statuses.pop(key, None)
            self._tell({key})

    def put_class(self, body: Mapping[str, Any]) -> None:
        """It exists, and looks like this. One that cannot be used is as if it were not there."""
        name = body["metadata"]["name"]
        self.told_classes.add(name)
        verdict = judge(body, in_cluster=True)
        before = self.classes.pop(name, None)
        if isinstance(verdict.object, WorkerClass):
            self.classes[name] = verdict.object
        if before is None or before != self.classes.get(name):
            self._tell(self.taskqueues.keys())

    def remove_class(self, name: str) -> None:
        """It exists no more."""
        self.told_classes.discard(name)
        if self.classes.pop(name, None) is not None:
            self._tell(self.taskqueues.keys())

    def now_complete(self) -> None:
        """All that exist have been told."""
        if not self.complete:
            self.complete = True
            self._tell(self.taskqueues.keys())

    def _tell(self, keys: Collection[str]) -> None:
        if self.complete:
            for listener in list(self._listeners):
                listener(frozenset(keys))
