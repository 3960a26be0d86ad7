"""The words of a wait target: its terms, and why a change of the number may wait."""

from __future__ import annotations

from sluiceway.decide.sentences import decimal, seconds, whole
from sluiceway.decide.slots import Needed


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


def not_urgent(ratio: float) -> str:
    """Demand is above the number, and nothing would start too late."""
    return (
        f"demand is {decimal(ratio, 3)} times what they are meant for, and all that waits "
        "starts in time"
    )


def not_yet(wanted: int) -> str:
    """More are needed soon, and few enough to be asked for later."""
    return f"{whole(wanted)} are needed soon, and it is early enough to ask for them later"


def nobody_idle(wanted: int) -> str:
    """Fewer would do, but all of them have work."""
    return f"{whole(wanted)} would do, and while messages wait nobody is idle"


def on_their_way(since_s: float) -> str:
    """More were asked for a moment ago."""
    return f"those asked for {seconds(since_s)} ago are still on their way"
