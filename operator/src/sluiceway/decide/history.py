"""What one decision remembers for the next: frozen, bounded, handed back and forth.

Nothing else in a fleet's deciding has a memory. ``observed`` is how a reading is
learned from; decide calls it, so callers only carry the value.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """A fleet's past, as far as decisions need it. The empty one is a fresh start."""

    recommendations: tuple[tuple[float, int], ...] = ()
    """(Unix seconds, replicas) as the HPA keeps them, within the longest window."""
    scale_ups: tuple[tuple[float, int], ...] = ()
    """(Unix seconds, how many more)."""
    scale_downs: tuple[tuple[float, int], ...] = ()
    """(Unix seconds, how many fewer)."""
