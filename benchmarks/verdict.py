"""What became of every task, counted by its id."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

from benchmarks.common import Result

_UNACKNOWLEDGED_S = 2.0
"""What ended so shortly before its process did may not have been acknowledged."""


class Records(Protocol):
    """What the tasks wrote down, and what stands in the broker."""

    def rows(self, event: str) -> Sequence[tuple[str, float, Hashable]]:
        """(task, Unix seconds, who ran it) of each ``started`` or ``finished``, in order."""

    def events(self, event: str) -> Counter[str]:
        """How often that was written down, by task id."""

    def held(self) -> set[str]:
        """The ids of the tasks that stand in ``unacked``."""

    def queued(self) -> int:
        """How many messages wait."""


@dataclass
class Verdict:
    """What became of the tasks, given who ran them and was ended by force, and when."""

    sent: set[str]
    ended_by_force: Mapping[Any, float] = field(default_factory=dict)
    """Unix seconds, just before it was done, by process or pod."""
    may_run_twice: Set[str] = frozenset()
    """Those of which that is no fault: they were published twice, say."""

    def figures(self, records: Records) -> Result:
        """Counts of tasks, and of runs that were ``cut``: begun and not ended.

        ``lost``: stands nowhere any more and never ended. ``stranded``: never ended and
        stands in ``unacked`` or in a list. ``run_again``: started again only because a process
        that was ended by force had begun it. ``run_twice``: started again without that.
        """
        starts: dict[str, list[tuple[float, Hashable]]] = {}
        for task, at, pid in records.rows("started"):
            starts.setdefault(task, []).append((at, pid))
        ends = {(task, pid): at for task, at, pid in records.rows("finished")}
        finished = records.events("finished")
        missing = self.sent - set(finished)
        held = records.held()
        stranded = missing & held if not records.queued() else missing
        again = {task: runs for task, runs in starts.items() if len(runs) > 1}
        asked = {task for task, runs in again.items() if self._asked(task, runs, ends)}
        return {
            "published": len(self.sent),
            "finished": len(self.sent & set(finished)),
            "lost": len(missing - stranded),
            "stranded": len(stranded),
            "stranded_never_started": len(stranded - set(starts)),
            "run_again": len(asked),
            "run_twice": len(set(again) - asked - self.may_run_twice),
            "cut": sum(max(0, len(runs) - finished[task]) for task, runs in starts.items()),
            "still_held": len(held),
            "back_s": sorted(
                round(again[task][1][0] - self.ended_by_force[again[task][0][1]], 2)
                for task in asked
            ),
        }

    def _asked(
        self,
        task: str,
        runs: list[tuple[float, Hashable]],
        ends: Mapping[tuple[str, Hashable], float],
    ) -> bool:
        """Whether each run but the last was ended by force, and the next came after that."""
        return all(
            (cut_at := self.ended_by_force.get(pid)) is not None
            and ends.get((task, pid), cut_at) >= cut_at - _UNACKNOWLEDGED_S
            and again_at >= cut_at
            for (_, pid), (again_at, _) in pairwise(runs)
        )


def spread(samples: Sequence[float]) -> Result:
    """Median and worst of seconds, where there are any."""
    if not samples:
        return {}
    return {"median": round(statistics.median(samples), 2), "worst": round(max(samples), 2)}
