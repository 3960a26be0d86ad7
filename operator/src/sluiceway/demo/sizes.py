"""How big the show is: what its user may choose, and what follows from it."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

WEB_WORKERS = 10
"""Request workers of the sample shop (sluiceway_sample.serving)."""

CLICKS_WITHIN = 0.4
"""Everybody clicks in the first part of an act; the rest of it is the consequence."""

LEAD_S = 1.0
"""Seconds of an act before the first click."""


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy_cores() -> int:
    """How many cores the web workers keep busy when all of them make exports."""
    return min(cores(), WEB_WORKERS)


def default_max_workers() -> int:
    """A worker per core, as an export fills one; never fewer than 4, so that there is a fleet
    to see, and never more than the web workers that the same exports had before."""
    return min(max(cores(), 4), WEB_WORKERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """What `sluiceway demo --help` lets one choose."""

    clicks: int = 40
    duration_s: float = 20.0
    """How long the exports of one act should keep the whole machine busy."""
    export_cost_s: float | None = None
    """How long one export keeps one core busy; None: so long that ``duration_s`` comes out."""
    max_workers: int = 4
    """``maxReplicas`` of the exports fleet."""
    seed: int = 1

    def rows_at(self, rows_per_s: float, most: int) -> int:
        """How many rows an export is given on a machine that makes so many a second.

        All exports of an act together take ``duration_s`` of the whole machine:
        clicks × rows = rows_per_s × duration. Where a cost is given, one export
        takes that of one core: rows = rows_per_s ÷ cores × cost. At most ``most``,
        which is as many as there are orders to report on.
        """
        if self.export_cost_s is None:
            rows = rows_per_s * self.duration_s / self.clicks
        else:
            rows = rows_per_s / busy_cores() * self.export_cost_s
        return min(max(1, round(rows)), most)

    def click_times(self) -> tuple[float, ...]:
        """When visitors click, in seconds from an act's start: random, the same in both acts."""
        within = self.duration_s * CLICKS_WITHIN
        at = random.Random(self.seed)
        return tuple(sorted(LEAD_S + at.uniform(0, within) for _ in range(self.clicks)))
