"""What visitors did and how long they waited, as one line for each thing that happened.

The visitors' process writes these lines, the demo reads them. A visit that is not
answered yet has waited *at least* until now; leaving it out would make a site
that stands still look quick.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """What a visitor wants."""

    PAGE = "page"
    CLICK = "click"
    MAIL = "mail"


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One visitor's request."""

    kind: Kind
    sent_at: float
    """Unix seconds."""
    took_s: float | None = None
    """Until the answer was there; None while it is not."""
    ok: bool = True
    pdf_s: float | None = None
    """A click's: until the visitor had the PDF."""
    over: bool = False
    """A click's: the visitor has left, with the PDF or without one."""

    def waited_s(self, now: float) -> float:
        """How long the visitor waited for the answer, so far if there is none."""
        return self.took_s if self.took_s is not None else max(0.0, now - self.sent_at)


class VisitLog:
    """All visits of an act, read line by line."""

    def __init__(self) -> None:
        self._visits: dict[int, Visit] = {}

    def read(self, line: str | bytes) -> None:
        """Take one line in, as ``line_of`` writes them."""
        event = json.loads(line)
        number, change = event["n"], event["visit"]
        if (visit := self._visits.get(number)) is None:
            self._visits[number] = Visit(**{**change, "kind": Kind(change["kind"])})
        else:
            self._visits[number] = replace(visit, **change)

    def of(self, kind: Kind) -> tuple[Visit, ...]:
        """The visits of one kind, in the order they were sent."""
        return tuple(visit for visit in self._visits.values() if visit.kind is kind)


def line_of(number: int, **change: object) -> str:
    """One line: a new visit, or what has become known of it."""
    return json.dumps({"n": number, "visit": change})


def percentile(values: Iterable[float], percent: float) -> float | None:
    """The smallest value that at least ``percent`` % of the values do not exceed (nearest rank).

    None of nothing is None, not 0.
    """
    ranked = sorted(values)
    if not ranked:
        return None
    return ranked[max(1, math.ceil(percent / 100 * len(ranked))) - 1]


def waits(visits: Sequence[Visit], now: float, since: float = 0.0) -> list[float]:
    """Seconds that each visitor waited (so far), of those that came at ``since`` or later."""
    return [visit.waited_s(now) for visit in visits if visit.sent_at >= since]
