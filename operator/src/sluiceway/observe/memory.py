"""What observing one fleet remembers from one reading to the next: frozen, bounded.

A single reading cannot tell how long an unstamped message has waited, nor a
worker that has never spoken from one that has gone silent. The memory is given to
``observe`` and comes back renewed; the empty one is a fresh start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluiceway.broker.reading import Heard
from sluiceway.decide.observation import WorkerView


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenHead:
    """A message, and since when it has been seen at the head of its key."""

    message_id: str
    since: float
    """Unix seconds by the server's clock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """One fleet's past, as far as observing needs it."""

    heads: Mapping[tuple[str, int], SeenHead] = field(default_factory=dict)
    """By queue name and position of the priority step."""
    heard: Mapping[str, WorkerView] = field(default_factory=dict)
    """The workers that exist and were heard once, as they were heard last."""
    latest: tuple[Heard, ...] = ()
    """The fleet's heartbeats of the last reading; none while the broker cannot be read."""
    unheard_since: Mapping[str, float] = field(default_factory=dict)
    """The workers that are ready and were never heard, and since when that is so."""
    elsewhere_since: Mapping[str, float] = field(default_factory=dict)
    """The workers whose heartbeats name another server, and since when that is so."""
