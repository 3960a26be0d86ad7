"""Everything that is told of TaskQueues while this replica leads.

Each is told from one source, several times over: its status for whoever looks at it, a
log line and an Event for what changed, metrics for what moves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sluiceway.act.deployments import NotLeadingError
from sluiceway.broker.holders import Cause
from sluiceway.cluster.settle import Settled
from sluiceway.cluster.specs import Spec, Specs
from sluiceway.cluster.term import Term
from sluiceway.report.deaths import event_of_letters, events_of
from sluiceway.report.decision_log import DecisionLog
from sluiceway.report.event_writer import EventWriter
from sluiceway.report.events import events_between
from sluiceway.report.fleet_meters import FleetMeters
from sluiceway.report.notices import Notice, Subject, notice_of, notices_between
from sluiceway.report.resource import Seen, SetupProblem, differ_in_numbers, resource_status
from sluiceway.report.status import FleetStatus
from sluiceway.report.status_queue import NO_STATUS, NUMBERS_EVERY_S
from sluiceway.report.status_writer import StatusWriter
from sluiceway_worker.recovery import Recovered

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Known:
    """One TaskQueue, as far as it was told of in this term."""

    spec: Spec
    settled: Settled
    fleet: FleetStatus | None = None
    warnings: tuple[str, ...] = ()
    """What the platform team should mend at its broker, as its status says it."""
    written: FleetStatus | None = None
    """What its status was made of last; None where nobody has made one of this spec."""
    written_at: float = 0.0
    """Unix seconds."""


class ClusterReports:
    """The reports of one replica (``term.Reports``), term after term."""

    def __init__(
        self,
        *,
        specs: Specs,
        statuses: StatusWriter | None,
        events: EventWriter | None,
        meters: FleetMeters,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Tell nothing yet.

        Args:
            statuses, events: None in a dry run.
            clock: Unix seconds.
        """
        self._specs = specs
        self._statuses = statuses
        self._events = events
        self._meters = meters
        self._clock = clock
        self._log = DecisionLog()
        self._known: dict[str, _Known] = {}
        self._term: Term | None = None

    @asynccontextmanager
    async def term(self, term: Term) -> AsyncIterator[None]:
        """Tell of what this term does, for as long as the block lasts."""
        self._term = term
        async with asyncio.TaskGroup() as tasks:
            writing = [
                tasks.create_task(writer.run())
                for writer in (self._statuses, self._events)
                if writer is not None
            ]
            try:
                yield
            finally:
                self._term = None
                self._known.clear()
                self._log.clear()
                self._meters.clear()
                for task in writing:
                    task.cancel()

    def add(self, status: FleetStatus) -> None:
        """A fleet was observed, decided on and acted for."""
        if (known := self._known.get(status.fleet)) is None or self._term is None:
            return
        for event in events_between(known.fleet, status):
            self._tell(known, notice_of(event))
        known.fleet = status
        self._log.add(status)
        self._meters.add(status)
        if not self._may_wait(known, self._term):
            self._write(known)
        self._term.looked_at(status)

    def still(self, fleet: str, at: float) -> None:
        """A fleet at rest was looked at, and all is as its last status says."""
        self._meters.still(fleet, at)
        known = self._known.get(fleet)
        if known is not None and known.fleet is not known.written:
            self._write(known)

    def _may_wait(self, known: _Known, term: Term) -> bool:
        """Whether its newest status differs in numbers alone from one that is not old: those
        are not written more often, and making a status is a quarter of a look."""
        before, now = known.written, known.fleet
        return (
            before is not None
            and now is not None
            and 0.0 <= self._clock() - known.written_at < NUMBERS_EVERY_S
            and known.settled.problem is None
            and differ_in_numbers(before, now)
            and term.warnings_of(known.spec.key) == known.warnings
        )

    def failed(self, fleet: str, at: float, exc: Exception) -> None:
        """A fleet's tick ended with an error; its workers stay as they are."""
        if fleet in self._known and not isinstance(exc, NotLeadingError):
            self._log.failed(fleet, at, exc)
            self._meters.failed(fleet, at, exc)

    def settled(self, spec: Spec, settled: Settled) -> None:
        """A TaskQueue was looked at."""
        before = self._known.get(spec.key)
        known = _Known(spec=spec, settled=settled)
        if before is not None and before.spec.generation == spec.generation:
            # What was decided on an earlier spec does not say that this one is in force.
            known.fleet = before.fleet if settled.watched is not None else None
        self._known[spec.key] = known
        self._tell_of(before.settled.problem if before else None, known)
        if before is None and self._statuses is not None:
            self._statuses.adopt(spec.key, self._specs.statuses.get(spec.key, NO_STATUS))
        if self._has_news(known):
            self._write(known)

    def _has_news(self, known: _Known) -> bool:
        """Of an object that nothing was told of yet, the first look at its fleet has more to
        tell, and comes at once: that is one write for each new TaskQueue, not two."""
        if known.settled.watched is None or known.settled.problem is not None:
            return True
        return self._statuses is not None and bool(self._statuses.latest(known.spec.key))

    def went_otherwise(self, key: str, count: int) -> None:
        """Kubernetes removed so many pods of this fleet in place of those asked for."""
        self._meters.went_otherwise(key, count)

    def recovered(self, fleet: str, cause: Cause, recovered: Recovered) -> None:
        """What a dead worker of this fleet held has come back."""
        if (known := self._known.get(fleet)) is None:
            return
        self._meters.recovered(fleet, cause, recovered)
        for event in events_of(fleet, cause, recovered):
            log.warning("%s: %s", fleet, event.sentence, extra=_about(known.spec))
            self._tell(known, notice_of(event))

    def dead_letters(self, fleet: str, count: int, untold: int) -> None:
        """So many dead letters it has now, and so many of them are news."""
        if (known := self._known.get(fleet)) is None:
            return
        self._meters.dead_letters(fleet, count)
        if untold:
            event = event_of_letters(fleet, untold, self._clock())
            log.warning("%s: %s", fleet, event.sentence, extra=_about(known.spec))
            self._tell(known, notice_of(event))

    def forget(self, key: str) -> None:
        """A TaskQueue exists no more."""
        self._known.pop(key, None)
        self._log.drop(key)
        self._meters.drop(key)
        if self._statuses is not None:
            self._statuses.drop(key)

    def gone(self, key: str) -> None:
        """The API server does not know a TaskQueue whose end nobody told us of."""
        if (known := self._known.get(key)) is not None:
            self._specs.remove_taskqueue(key, known.spec.uid)

    def _write(self, known: _Known) -> None:
        if self._statuses is None or self._term is None:
            return
        spec, settled, now = known.spec, known.settled, self._clock()
        known.warnings = self._term.warnings_of(spec.key)
        known.written, known.written_at = known.fleet, now
        seen = Seen(
            at=now,
            generation=spec.generation,
            taskqueue=spec.taskqueue,
            class_name=settled.class_name,
            problem=settled.problem,
            fleet=known.fleet,
            broker_warnings=known.warnings,
        )
        before = self._statuses.latest(spec.key)
        status = resource_status(seen, before)
        self._statuses.put(spec.key, status)
        for notice in notices_between(before, status, now):
            self._tell(known, notice)

    def _tell(self, known: _Known, notice: Notice) -> None:
        if self._events is not None:
            spec = known.spec
            subject = Subject(namespace=spec.namespace, name=spec.name, uid=spec.uid)
            self._events.tell(subject, notice)

    def _tell_of(self, before: SetupProblem | None, known: _Known) -> None:
        now = known.settled.problem
        if now == before:
            return
        about = _about(known.spec)
        if now is not None:
            reason = {"reason": now.reason}
            log.warning("%s: %s", known.spec.key, now.sentence, extra=about | reason)
        else:
            log.info("%s: it can be served again", known.spec.key, extra=about)


def _about(spec: Spec) -> dict[str, str]:
    return {"namespace": spec.namespace, "taskqueue": spec.name}
