"""What a running Sluiceway tells `sluiceway explain`: every fleet's status and last changes."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from sluiceway.report.status import FleetStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetStory:
    """One fleet: how it is, and how it came to that."""

    now: FleetStatus
    changes: tuple[FleetStatus, ...]
    """The ticks at which something changed, oldest first."""
    broker: str | None = None
    """Its broker's address; None where a password belongs to it, which is told to nobody."""
    prefix: str = ""
    """What stands before all of its application's keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """All fleets of one run."""

    pid: int
    broker: str
    """The broker's address, without a password."""
    fleets: tuple[FleetStory, ...]

    def to_json(self) -> bytes:
        """As it is handed over."""
        return _STORY.dump_json(self)

    @classmethod
    def from_json(cls, raw: bytes) -> Story:
        """Read it back.

        Raises:
            ValueError: another version wrote it, or it is no story.
        """
        return _STORY.validate_json(raw)


_STORY: TypeAdapter[Story] = TypeAdapter(Story)
