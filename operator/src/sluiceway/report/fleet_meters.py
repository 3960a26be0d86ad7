"""The numbers behind TaskQueues' metrics.

A series belongs to what exists: it is made from the newest status of a TaskQueue when
somebody asks, and is gone with the TaskQueue. So memory is bounded by what exists, and
a deleted fleet leaves no number behind that stands still for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from sluiceway.broker.holders import Cause
from sluiceway.report.celery_meters import CeleryMeters
from sluiceway.report.events import scale_action
from sluiceway.report.fleet_metrics import FLEET_COUNTERS, FLEET_GAUGES, LAST_TICK, Counts
from sluiceway.report.metric import FLEET_LABELS, Sample
from sluiceway.report.series import gauges_and_counters
from sluiceway.report.status import FleetStatus
from sluiceway_worker.recovery import Recovered


class FleetMeters:
    """What is told of TaskQueues. A Reporter of the ticks (sluiceway.reconcile)."""

    def __init__(self) -> None:
        """No TaskQueue yet."""
        self._statuses: dict[str, FleetStatus] = {}
        self._still_at: dict[str, float] = {}
        """When each was looked at last, where that is later than its status."""
        self._counts: dict[str, Counts] = {}
        self._celery = CeleryMeters()

    def add(self, status: FleetStatus) -> None:
        """A fleet was observed, decided on and acted for."""
        before = self._statuses.get(status.fleet)
        counts = self._counts.setdefault(status.fleet, Counts())
        if (change := scale_action(before, status)) is not None:
            asked_before, asked = change
            counts.raised += asked > asked_before
            counts.lowered += asked < asked_before
        if before is not None:
            # What an earlier leader had asked for is on its count.
            counts.drains += len(set(status.drain) - set(before.drain))
        self._statuses[status.fleet] = status
        self._still_at.pop(status.fleet, None)
        self._celery.add(status)

    def still(self, fleet: str, at: float) -> None:
        """A fleet was looked at, and all is as its last status says."""
        self._still_at[fleet] = at

    def failed(self, fleet: str, at: float, exc: Exception) -> None:
        """A fleet's tick ended with an error."""
        self._counts.setdefault(fleet, Counts()).tick_errors += 1

    def went_otherwise(self, fleet: str, count: int) -> None:
        """Kubernetes removed so many pods in place of those that were to go."""
        self._counts.setdefault(fleet, Counts()).removed_otherwise += count

    def recovered(self, fleet: str, cause: Cause, recovered: Recovered) -> None:
        """What a dead worker held has come back."""
        counts = self._counts.setdefault(fleet, Counts())
        counts.deaths[cause] += 1
        counts.came_back += recovered.returned
        counts.had_succeeded += recovered.finished

    def dead_letters(self, fleet: str, count: int) -> None:
        """So many dead letters it has now."""
        self._counts.setdefault(fleet, Counts()).dead_letters = count

    def drop(self, fleet: str) -> None:
        """A TaskQueue is gone, and so are its series."""
        self._statuses.pop(fleet, None)
        self._still_at.pop(fleet, None)
        self._counts.pop(fleet, None)
        self._celery.drop(fleet)

    def clear(self) -> None:
        """This replica does not lead any more: what it knew grows old from here on."""
        self._statuses.clear()
        self._still_at.clear()
        self._counts.clear()
        self._celery.clear()

    def text(self, *, open_metrics: bool) -> Iterator[str]:
        """All series, in pieces between which others may have their turn.

        Args:
            open_metrics: whether it is to be OpenMetrics; else Prometheus' own format.
        """
        # Who begins now is told of to the end: the TaskQueues may change between two pieces.
        statuses = [(_who(one.fleet), one) for one in self._statuses.values()]
        counts = [(_who(fleet), one) for fleet, one in self._counts.items()]
        write = partial(gauges_and_counters, behind=len(FLEET_LABELS), open_metrics=open_metrics)
        for gauge in FLEET_GAUGES:
            yield from write(gauge, statuses, self._at if gauge is LAST_TICK else gauge.read)
        for counter in FLEET_COUNTERS:
            yield from write(counter, counts, counter.read)
        yield from self._celery.text(statuses, open_metrics=open_metrics)

    def _at(self, status: FleetStatus) -> Iterable[Sample]:
        """When it was looked at last, also where nothing was found to have changed."""
        yield (), self._still_at.get(status.fleet, status.at)


def _who(fleet: str) -> str:
    """``namespace/name`` as the first two labels."""
    namespace, _, name = fleet.partition("/")  # neither has a character to be escaped
    return f'namespace="{namespace}",taskqueue="{name}"'
