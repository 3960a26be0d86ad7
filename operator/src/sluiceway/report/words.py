"""Numbers, durations and events as people read them in a terminal."""

from __future__ import annotations

from datetime import datetime

from sluiceway.report.events import Event
from sluiceway.report.status import Workers


def short(fleet: str) -> str:
    """A fleet's name; the namespace only where it is not the default one."""
    return fleet.removeprefix("default/")


def number(value: int | None) -> str:
    """A number, or «?» where it is unknown: never a zero in its place."""
    return "?" if value is None else f"{value:,}".replace(",", " ")


def seconds(value: float | None) -> str:
    """A duration for people: «0.4s», «12s», «3m20s», «2h05m», «3d04h»."""
    if value is None:
        return ""
    # Rounded first: 59.7 s are a minute, not «60s».
    if round(value, 1) < 10:
        return f"{value:.1f}s"
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h"


def workers(counts: Workers) -> str:
    """«3/5»: how many consume, of how many the fleet should have, and what the others do."""
    others = the_others(counts.starting, counts.draining, counts.silent)
    return f"{counts.ready}/{counts.desired}{others}"


def the_others(starting: int | None, draining: int | None, silent: int | None) -> str:
    """« (1 starting, 2 silent)»: what the workers do that do not consume; "" where all do."""
    counts = ((starting, "starting"), (draining, "draining"), (silent, "silent"))
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f" ({told})" if told else ""


def clock_time(at: float) -> str:
    """Unix seconds as the time of day here."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def event_line(event: Event) -> str:
    """One line: time, fleet, what happened."""
    return f"{clock_time(event.at)} {short(event.fleet)}: {event.sentence}"
