"""Numbers as people read them."""

from __future__ import annotations

UNKNOWN = "?"


def duration(seconds: float | None) -> str:
    """Two figures and a unit that fits: «4 ms», «320 ms», «3.2 s», «48 s», «1 m 05 s»."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0.0995:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 0.995:
        return f"{round(seconds * 1000, -1):.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} m {seconds % 60:02.0f} s"


def number(value: float | None) -> str:
    """A count, with thousands apart: «1 140»."""
    return UNKNOWN if value is None else f"{value:,.0f}".replace(",", " ")


def plural(count: int | None, noun: str) -> str:
    """«1 worker», «4 workers», «? workers»."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"
