"""What there is to see at one moment of an act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sluiceway.demo.visits import Kind, Visit, VisitLog, percentile, waits

_NOW_S = 1.0
"""«Now» is whoever still waits, or was answered within the last second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetScene:
    """One fleet at one moment; None is unknown."""

    name: str
    asked: int
    """Workers that are asked for."""
    consuming: int
    """Workers that take tasks."""
    running: int
    """Worker processes that exist."""
    queue_length: int | None
    oldest_wait_s: float | None
    sentence: str
    """Why so many workers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """An act at one moment."""

    elapsed_s: float
    clicks: int
    clicked: int
    pdfs: int
    """Visitors who have their PDF."""
    left: int
    """Visitors who have left, with a PDF or without."""
    page_now_s: float | None
    """The longest that anybody has waited for the light page who waits now, or just did."""
    page_p50_s: float | None
    page_p99_s: float | None
    """Of all visits to it since the first click, so far."""
    fleets: tuple[FleetScene, ...] = ()

    @property
    def everybody_left(self) -> bool:
        """Whether all who were to click have clicked and wait for nothing any more."""
        return self.left == self.clicks


def scene(
    log: VisitLog,
    *,
    started_at: float,
    now: float,
    clicks: int,
    fleets: tuple[FleetScene, ...] = (),
) -> Scene:
    """The scene that the visits so far make, Unix seconds in and seconds out."""
    clicked = log.of(Kind.CLICK)
    pages = log.of(Kind.PAGE)
    since = waits(pages, now, clicked[0].sent_at if clicked else now)
    return Scene(
        elapsed_s=now - started_at,
        clicks=clicks,
        clicked=len(clicked),
        pdfs=sum(visit.pdf_s is not None for visit in clicked),
        left=sum(visit.over for visit in clicked),
        page_now_s=max(waits(_of_now(pages, now), now), default=None),
        page_p50_s=percentile(since, 50),
        page_p99_s=percentile(since, 99),
        fleets=fleets,
    )


def _of_now(visits: Sequence[Visit], now: float) -> list[Visit]:
    return [v for v in visits if v.took_s is None or v.sent_at + v.took_s > now - _NOW_S]
