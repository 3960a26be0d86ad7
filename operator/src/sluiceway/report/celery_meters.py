"""The fleets' Celery metrics: sums that outlive workers, gauges of those that exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from sluiceway.report.celery_metrics import BY_TASK, CELERY_GAUGES, TASK_COUNTERS, TASK_TIMES
from sluiceway.report.metric import FLEET_LABELS
from sluiceway.report.series import gauges_and_counters, histograms, labelled
from sluiceway.report.status import FleetStatus
from sluiceway.report.tally import Tally
from sluiceway_worker.wire import BOUNDS_S

_BOUNDS = (*map(str, BOUNDS_S), "+Inf")


class CeleryMeters:
    """By fleet, for as long as it exists and this replica leads."""

    def __init__(self) -> None:
        """No TaskQueue yet."""
        self._tallies: dict[str, Tally] = {}

    def add(self, status: FleetStatus) -> None:
        """A fleet was looked at."""
        tally = self._tallies.get(status.fleet)
        if tally is None:
            if not status.work.done:
                return  # no worker of it was heard yet: most fleets are at rest
            tally = self._tallies[status.fleet] = Tally()
        tally.add(status.work, status.at)

    def drop(self, fleet: str) -> None:
        """A TaskQueue is gone."""
        self._tallies.pop(fleet, None)

    def clear(self) -> None:
        """This replica does not lead any more."""
        self._tallies.clear()

    def text(
        self, statuses: Sequence[tuple[str, FleetStatus]], *, open_metrics: bool
    ) -> Iterator[str]:
        """All series as they are now, in pieces.

        Args:
            statuses: the newest of each fleet, behind its labels.
        """
        tasks = [
            (labelled(BY_TASK, (*fleet.split("/", 1), *key)), sums)
            for fleet, tally in self._tallies.items()
            for key, sums in tally.sums.items()
        ]
        write = partial(gauges_and_counters, open_metrics=open_metrics)
        for counter in TASK_COUNTERS:
            yield from write(counter, tasks, counter.read, behind=len(BY_TASK))
        for times in TASK_TIMES:
            yield from histograms(
                times, tasks, times.read, bounds=_BOUNDS, open_metrics=open_metrics
            )
        for gauge in CELERY_GAUGES:
            yield from write(gauge, statuses, gauge.read, behind=len(FLEET_LABELS))
