"""One line for each decision that changed something, and for trouble that begins or ends.

A fleet that stays as it is says nothing, and an error that each tick meets again is
told once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sluiceway.report.conditions import Verdict
from sluiceway.report.events import Event, Kind, events_between, scale_action
from sluiceway.report.status import READY, FleetStatus

log = logging.getLogger(__name__)

_LEVELS = {
    Kind.DEMAND_UNKNOWN: logging.WARNING,
    Kind.DEMAND_KNOWN: logging.INFO,
    Kind.POLLING: logging.INFO,
    Kind.TIMEOUT_TOO_SHORT: logging.WARNING,
}
"""Events that are no decision."""


@dataclass(slots=True)
class _Failing:
    said: str
    ticks: int = 1


class DecisionLog:
    """A Reporter of the ticks (sluiceway.reconcile) that writes to the log."""

    def __init__(self) -> None:
        """Nothing told yet."""
        self._statuses: dict[str, FleetStatus] = {}
        self._failing: dict[str, _Failing] = {}

    def add(self, status: FleetStatus) -> None:
        """A fleet was observed, decided on and acted for."""
        before = self._statuses.get(status.fleet)
        self._statuses[status.fleet] = status
        if (failing := self._failing.pop(status.fleet, None)) is not None:
            self._say(logging.INFO, status, f"its ticks go well again, after {_ticks(failing)}")
        events = events_between(before, status)
        if changes := _changes(before, status, events):
            self._say(logging.INFO, status, f"{', '.join(changes)}; {status.sentence}")
        for event in events:
            if event.kind in _LEVELS:
                self._say(_LEVELS[event.kind], status, event.sentence, event=event.kind.value)
        self._tell_readiness(before, status)

    def failed(self, fleet: str, at: float, exc: Exception) -> None:
        """A fleet's tick ended with an error; its workers stay as they are."""
        said = f"{type(exc).__name__}: {exc}"
        failing = self._failing.get(fleet)
        if failing is not None and failing.said == said:
            failing.ticks += 1
            return
        self._failing[fleet] = _Failing(said)
        # Our own errors are sentences; of any other one the place matters.
        own = type(exc).__module__.startswith("sluiceway.")
        log.error(
            "%s: a tick failed, its workers stay as they are: %s",
            fleet,
            exc if own else said,
            exc_info=None if own else exc,
            extra=_who(fleet),
        )

    def drop(self, fleet: str) -> None:
        """A TaskQueue is gone."""
        self._statuses.pop(fleet, None)
        self._failing.pop(fleet, None)

    def clear(self) -> None:
        """This replica does not lead any more; the next term begins anew."""
        self._statuses.clear()
        self._failing.clear()

    def _tell_readiness(self, before: FleetStatus | None, status: FleetStatus) -> None:
        ready = status.condition(READY)
        was = before.condition(READY).status if before is not None else Verdict.UNKNOWN
        if ready.status is Verdict.FALSE and was is not Verdict.FALSE:
            self._say(logging.WARNING, status, ready.message)
        elif ready.status is Verdict.TRUE and was is Verdict.FALSE:
            self._say(logging.INFO, status, "it has the workers again that it should have")

    def _say(self, level: int, status: FleetStatus, sentence: str, **more: Any) -> None:
        workers = status.workers
        about = {
            "reason": status.reason.value,
            "from": workers.asked_before,
            "to": workers.asked,
            "desired": workers.desired,
        }
        log.log(level, "%s: %s", status.fleet, sentence, extra=_who(status.fleet) | about | more)


def _changes(before: FleetStatus | None, status: FleetStatus, events: Iterable[Event]) -> list[str]:
    """What the decision changed, in parts of a sentence."""
    parts: list[str] = []
    if (change := scale_action(before, status)) is not None:
        parts.append(f"{change[0]} → {change[1]} workers asked for")
    held = set(before.drain) if before is not None else set()
    if asked := set(status.drain) - held:
        parts.append(f"{len(asked)} asked to drain")
    parts += [event.sentence for event in events if event.kind is Kind.RECALLED]
    return parts


def _who(fleet: str) -> dict[str, Any]:
    namespace, _, name = fleet.partition("/")
    return {"namespace": namespace, "taskqueue": name}


def _ticks(failing: _Failing) -> str:
    return "1 error" if failing.ticks == 1 else f"{failing.ticks} errors"
