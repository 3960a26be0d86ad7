"""Demands in numbers, as tests of the rule write them."""

from __future__ import annotations

from typing import Any

from sluiceway.decide.demand import Demand


def demand(waiting: int = 0, **fields: Any) -> Demand:
    """A demand of so many waiting messages, and nothing else but what is given."""
    nothing_else = {
        "due_soon": 0,
        "in_flight": 0,
        "in_flight_bound": 0,
        "held": 0,
        "later": 0,
        "next_eta": None,
        "oldest_wait_s": 0.0,
        "oldest_wait_is_exact": True,
        "present": 0,
        "present_slots": 0,
        "running_for_s": (),
        "silent": 0,
        "unknown": None,
    }
    return Demand(waiting=waiting, **(nothing_else | fields))  # type: ignore[arg-type]
