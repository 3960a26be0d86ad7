"""What became of the tasks of a scene, counted as benchmarks/soak counts on one machine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.verdict import Verdict
from stage.counting import Tasks
from stage.servers import Server

_AS_WRITTEN = {"started": "began", "finished": "ended"}

Start: TypeAlias = "tuple[str, float]"
"""One start of a pod's container: the pod, and when, Unix seconds."""
_Life: TypeAlias = "tuple[Start, int]"
"""A container that was frozen lives on, and what it held is given to others."""


class Records:
    """The ledger and the broker of a scene (benchmarks.verdict.Records).

    What was published to end its worker is left out.
    """

    def __init__(
        self, tasks: Tasks, broker: Server, queue: str, ends: Mapping[str, list[float]]
    ) -> None:
        self._tasks = tasks
        self._broker = broker
        self._queue = queue
        self._ends = ends

    def rows(self, event: str) -> list[tuple[str, float, _Life]]:
        found = []
        for task, written, at, pod, start in self._tasks.rows():
            if written == _AS_WRITTEN[event] and task not in self._tasks.poison:
                life = sum(end <= float(at) for end in self._ends.get(pod, ()))
                found.append((task, float(at), ((pod, float(start)), life)))
        return sorted(found, key=lambda row: row[1])

    def events(self, event: str) -> Counter[str]:
        return Counter(task for task, _, _ in self.rows(event))

    def held(self) -> set[str]:
        return {json.loads(one)[0]["headers"]["id"] for one in self._broker.client.hvals("unacked")}

    def queued(self) -> int:
        return int(self._broker.client.llen(self._queue))


def figures(
    tasks: Tasks,
    broker: Server,
    queue: str,
    ends: Mapping[str, list[float]],
    ended: Mapping[Start, float] | None = None,
) -> dict[str, Any]:
    """The counts of ``benchmarks.verdict``.

    Args:
        ends: when each of these pods was ended by force, or frozen: Unix seconds, rising.
            What it ran later was run in another life.
        ended: when each of these containers was ended, or told to end, for good: whatever it
            ran, also a moment later, was cut.
    """
    records = Records(tasks, broker, queue, ends)
    by_force = {}
    for _, _, life in records.rows("started"):
        start, number = life
        if number < len(them := ends.get(start[0], ())):
            by_force[life] = them[number]
        elif ended and start in ended:
            by_force[life] = ended[start]
    return Verdict(set(tasks.published), by_force).figures(records)


def write_down(figures: Mapping[str, Any], file: Path | None) -> None:
    """Append counts for benchmarks/soak, where it asked for them."""
    if file is not None:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(figures) + "\n")
