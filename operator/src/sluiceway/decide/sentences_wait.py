"""The words of a wait target: its terms, and why a change of the number may wait."""

from __future__ import annotations

from sluiceway.decide.sentences import decimal, seconds, whole
from sluiceway.decide.slots import Needed

HALF_WAY = "nothing is urgent, so half of the way at first"


def terms(needed: Needed) -> str:
    """The rule's terms, to follow the recommendation: «; slots: 96 in order, 126 in time»."""
    parts = [f"{decimal(needed.in_order)} in order"]
    if needed.in_time > 0:
        parts.append(f"{decimal(needed.in_time)} in time")
    if needed.going_on > 0:
        parts.append(f"{decimal(needed.going_on)} going on")
    if needed.overrunning:
        parts.append(f"{whole(needed.overrunning)} overrunning")
    return f"; slots: {', '.join(parts)}"


def near(ratio: float) -> str:
    """Demand is close to the number, and nothing would start too late."""
    return (
        f"demand is {decimal(ratio, 3)} times what they are meant for, near enough while "
        "nothing is urgent"
    )


def paused_a_while(wanted: int, since_s: float) -> str:
    """The last change is young, and nothing would start too late."""
    return (
        f"changed {seconds(since_s)} ago, and nothing is urgent; demand alone asks for "
        f"{whole(wanted)}"
    )


def on_their_way(since_s: float) -> str:
    """More were asked for a moment ago."""
    return f"those asked for {seconds(since_s)} ago are still on their way"
