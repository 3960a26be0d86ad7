"""What became of the tasks of a scene, counted as benchmarks/soak counts on one machine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

from benchmarks.verdict import Verdict
from stage.counting import Tasks
from stage.servers import Server

_AS_WRITTEN = {"started": "began", "finished": "ended"}


class Records:
    """The ledger and the broker of a scene (benchmarks.verdict.Records)."""

    def __init__(
        self, tasks: Tasks, broker: Server, queue: str, ends: Mapping[str, list[float]]
    ) -> None:
        self._tasks = tasks
        self._broker = broker
        self._queue = queue
        self._ends = ends

    def rows(self, event: str) -> list[tuple[str, float, Hashable]]:
        found = []
        for task, written, at, pod in self._tasks.rows():
            if written == _AS_WRITTEN[event]:
                # A pod has another life after each of its ends, such as when its node boots.
                life = sum(end <= float(at) for end in self._ends.get(pod, ()))
                found.append((task, float(at), (pod, life)))
        return sorted(found, key=lambda row: row[1])

    def events(self, event: str) -> Counter[str]:
        return Counter(task for task, _, _ in self.rows(event))

    def held(self) -> set[str]:
        return {json.loads(one)[0]["headers"]["id"] for one in self._broker.client.hvals("unacked")}

    def queued(self) -> int:
        return int(self._broker.client.llen(self._queue))


def figures(
    tasks: Tasks, broker: Server, queue: str, ends: Mapping[str, list[float]]
) -> dict[str, Any]:
    """The counts of ``benchmarks.verdict``.

    Args:
        ends: when each of these pods was ended by force, or frozen: Unix seconds, rising.
    """
    by_force = {(pod, life): at for pod, them in ends.items() for life, at in enumerate(them)}
    records = Records(tasks, broker, queue, ends)
    return Verdict(set(tasks.published), by_force).figures(records)
