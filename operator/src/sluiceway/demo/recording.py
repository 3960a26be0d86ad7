"""Everything that was seen during the show: what the figures and pictures are made of."""

from __future__ import annotations

from dataclasses import dataclass

from sluiceway.demo.sizes import Sizes
from sluiceway.demo.tally import Run, Tally
from sluiceway.demo.visits import Kind, Visit, VisitLog


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """The visitors of one act. All times are Unix seconds."""

    pages: tuple[Visit, ...]
    clicks: tuple[Visit, ...]
    mails: tuple[Visit, ...] = ()

    @classmethod
    def of(cls, log: VisitLog) -> Act:
        """When everybody was answered."""
        return cls(pages=log.of(Kind.PAGE), clicks=log.of(Kind.CLICK), mails=log.of(Kind.MAIL))

    @property
    def first_click_at(self) -> float:
        return self.clicks[0].sent_at

    @property
    def last_pdf_at(self) -> float:
        """When the last visitor had their PDF, or had given up."""
        return max(v.sent_at + (v.pdf_s or v.took_s or 0.0) for v in self.clicks)

    @property
    def busy_pages(self) -> tuple[Visit, ...]:
        """The bystander's visits while somebody was waiting for a PDF."""
        return tuple(v for v in self.pages if self.first_click_at <= v.sent_at <= self.last_pdf_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetSample:
    """A fleet at one moment."""

    at: float
    """Unix seconds."""
    asked: int
    """Workers asked for."""
    running: int
    """Worker processes that existed."""
    consuming: int
    """Workers that took tasks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """What a fleet did during the second act."""

    name: str
    samples: tuple[FleetSample, ...]
    """In order; each holds until the next."""
    asked_at: float | None
    """When workers were asked for, the first time; None if never. Unix seconds."""
    worker_seconds: float
    """Seconds that its worker processes existed, summed."""

    @property
    def most(self) -> int:
        """The most workers that existed at once."""
        return max((sample.running for sample in self.samples), default=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """The whole show."""

    sizes: Sizes
    cores: int
    system: str
    """Operating system and Python, in words."""
    rows: int
    """Rows of the report in one export."""
    export_cost_s: float
    """About how long one export keeps one core busy."""
    calm: tuple[Visit, ...]
    """The bystander's visits before anybody clicked."""
    before: Act
    after: Act
    fleets: tuple[Fleet, ...]
    runs: tuple[Run, ...]
    """Every attempt at a task, from the database."""
    tallies: dict[str, Tally]
    """By queue; "" is all of them together."""
    queues_yaml: str
    """All that Sluiceway was told."""

    def runs_of(self, queue: str) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.queue == queue)

    def fleet(self, name: str) -> Fleet:
        return next(fleet for fleet in self.fleets if fleet.name == name)
