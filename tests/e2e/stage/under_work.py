"""A fleet that has work all the time, while something happens to its workers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sluiceway_worker import wire
from stage.scene import Scene
from stage.until import until
from stage.verdict import Start, figures, write_down

WORKERS = 4
QUEUE = "exports"

SPREAD = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "ScheduleAnyway",
    "labelSelector": {"matchLabels": {"sluiceway.dev/taskqueue": QUEUE}},
}


class UnderWork:
    """A fleet on both nodes that has work all the time."""

    def __init__(self, scene: Scene, figures_file: Path | None, *, longest_s: float) -> None:
        """Nothing is there yet.

        Args:
            figures_file: where the counts are appended.
            longest_s: so long a task takes at most.
        """
        self.scene = scene
        self.ends: dict[str, list[float]] = {}
        """When each pod was ended by force, or frozen, Unix seconds."""
        self.deleted: dict[str, float] = {}
        """When each of these pods was deleted by force, Unix seconds."""
        self._file = figures_file
        self._longest_s = longest_s

    def start(self, *, memory: str = "512Mi", **worker: Any) -> None:
        """Four workers, spread over the nodes, each with so much memory."""
        self._slots = WORKERS * worker.get("concurrency", 1)
        self.scene.apply(everywhere(memory))
        spread = {"spec": {"topologySpreadConstraints": [SPREAD]}}
        self.fleet = self.scene.fleet(
            QUEUE,
            worker={"className": "everywhere", "template": spread, **worker},
            scaling={"minReplicas": WORKERS, "maxReplicas": WORKERS},
        )
        self.fleet.await_ready(WORKERS)

    def keep_busy(self) -> None:
        """Let some tasks wait, but not many."""
        if self.scene.broker.client.llen(QUEUE) < self._slots:
            for _ in range(self._slots):
                seconds = random.uniform(0.2, self._longest_s)
                self.scene.tasks.publish(QUEUE, 1, seconds=seconds)

    def busy_until(self, holds: Callable[[], Any], that: str, hangs_s: float = 150.0) -> None:
        """Work goes on until it holds."""

        def ask() -> Any:
            self.keep_busy()
            return holds()

        until(ask, that=that, hangs_s=hangs_s)

    def hit(self, *pods: str) -> None:
        """These are ended by force, or frozen, at this moment."""
        for pod in pods:
            self.ends.setdefault(pod, []).append(time.time())

    def busy_until_given_to_others(self, *pods: str) -> None:
        """Work goes on until others have been given all that these pods held."""
        holders = wire.holders_key("")

        def none_left() -> bool:
            there = [one.decode() for one in self.scene.broker.client.hkeys(holders)]
            return not any(one.rpartition(":")[0] in pods for one in there)

        self.busy_until(none_left, f"nothing is held by {', '.join(pods)}", 300.0)

    def pods(self, node: str | None = None) -> list[str]:
        """The workers that are ready, those on one node alone if it is named."""
        return [
            pod["metadata"]["name"]
            for pod in self.fleet.pods()
            if "deletionTimestamp" not in pod["metadata"]
            and node in (None, pod["spec"].get("nodeName"))
            and _is_ready(pod)
        ]

    def whole(self) -> bool:
        """Whether all workers that are asked for are ready, and nobody is left over."""
        return len(self.pods()) == WORKERS == len(self.fleet.pods())

    def running(self) -> set[str]:
        """The pods that run a task at this moment."""
        rows = list(self.scene.tasks.rows())
        ended = {(row[0], row[3]) for row in rows if row[1] == "ended"}
        return {row[3] for row in rows if row[1] == "began" and (row[0], row[3]) not in ended}

    def some_on(self, node: str) -> list[str]:
        """The workers on this node, of which two at least run something."""

        def there() -> bool:
            pods = set(self.pods(node))
            return self.whole() and len(pods & self.running()) >= min(2, len(pods)) > 0

        kubectl = self.scene.kubectl
        self.busy_until(self.whole, "the fleet is whole")
        while not self.pods(node):
            # They are all on the other one since this one was away.
            kubectl.run("delete", "pod", *self.pods()[:2], "--wait=false")
            self.busy_until(self.whole, "the fleet is whole again")
        self.busy_until(there, f"workers run tasks on {node}")
        return self.pods(node)

    def poisoned(self) -> dict[Start, float]:
        """The containers in which poison began, and when each was heard of last."""
        rows = list(self.scene.tasks.rows())
        began = {(row[3], float(row[4])) for row in rows if row[0] in self.scene.tasks.poison}
        last = {(row[3], float(row[4])): float(row[2]) for row in rows}
        return {start: last[start] for start in began}

    def letters(self) -> dict[str, wire.Letter]:
        """The dead letters, by task."""
        fleet = f"{self.scene.namespace}/{QUEUE}"
        found = self.scene.broker.client.hvals(wire.dead_key("", fleet))
        return {letter.id: letter for letter in map(wire.Letter.from_bytes, found)}

    def count(self, ended: Mapping[Start, float] | None = None, **more: Any) -> dict[str, Any]:
        """What became of every task, once nothing moves any more.

        Args:
            ended: other containers that have ended by force, and when.
            more: what else is written down.
        """
        self.scene.await_all_done()
        starts = {(row[3], float(row[4])) for row in self.scene.tasks.rows()}
        deleted = {start: self.deleted[start[0]] for start in starts if start[0] in self.deleted}
        over = {**deleted, **(ended or {})}
        counted = figures(self.scene.tasks, self.scene.broker, QUEUE, self.ends, over) | more
        write_down(counted, self._file)
        return counted


def everywhere(memory: str) -> dict[str, Any]:
    """The class of workers that run on any node, with so much memory each."""
    return {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "WorkerClass",
        "metadata": {"name": "everywhere"},
        "spec": {
            "tolerations": [{"key": "pool", "operator": "Exists"}],
            "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": memory}},
        },
    }


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
