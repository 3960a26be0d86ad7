"""All that a loop of ticks asks of the world, and tells it: what is handed in."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence
from typing import Protocol

from sluiceway.act.carry_out import Leases
from sluiceway.observe import Reading, RunningWorker, Watched
from sluiceway.report.status import FleetStatus


class Fleet(Protocol):
    """A TaskQueue and the workers that serve it."""

    @property
    def watched(self) -> Watched:
        """Its spec as it is now, and its broker."""

    @property
    def replicas(self) -> int:
        """How many workers are asked for."""

    @property
    def rolling_out(self) -> bool:
        """Whether workers of more than one generation exist."""

    @property
    def trouble(self) -> str | None:
        """Why workers do not stay up, as a sentence."""

    @property
    def stuck(self) -> str | None:
        """Why more workers would not work either, as a sentence."""

    @property
    def marked(self) -> frozenset[str]:
        """The workers that are marked as those to go, and are still there."""

    @property
    def leaving(self) -> frozenset[str]:
        """The workers that were let go, while nobody has been told to go in answer."""

    def workers(self) -> Sequence[RunningWorker]:
        """The workers that exist."""

    async def scale(self, replicas: int, remove: tuple[str, ...]) -> None:
        """Ask for this many; the named workers are the ones to go."""


class Commands(Leases, Protocol):
    """All that is written into a fleet's broker."""

    async def stand_by(self, fleets: Collection[str]) -> None:
        """Say that these fleets will be started in time, so that their workers may park."""

    async def release(self, lists: Collection[str], until: float) -> None:
        """Bring back the parked messages of these lists that are due at ``until``."""


class Reader(Protocol):
    """Looks at brokers."""

    async def read(self, fleets: Iterable[Watched]) -> Reading:
        """Everything these fleets need to know, in one round trip; trouble is a reading too."""


class Wakes(Protocol):
    """Says when a queue has changed (observe.waking)."""

    async def arm(self, fleets: Iterable[Watched], *, acting: Container[str]) -> None:
        """Say it of those of these fleets that are in ``acting`` from now on, and of the
        others not; of all that are not named here nothing changes."""

    def drop(self, key: str) -> None:
        """Say it no more of this fleet."""

    def problem(self, watched: Watched) -> str | None:
        """Why it cannot say so of this fleet."""

    async def wait(self, timeout_s: float) -> frozenset[str]:
        """The keys of the fleets to look at; empty after the time."""


class Reporter(Protocol):
    """Told the outcome of every tick."""

    def add(self, status: FleetStatus) -> None:
        """A fleet was observed, decided on and acted for."""

    def still(self, fleet: str, at: float) -> None:
        """A fleet at rest was looked at, and all is as its last status says."""

    def failed(self, fleet: str, at: float, exc: Exception) -> None:
        """A fleet's tick ended with an error; its workers stay as they are."""
