"""Volatile numbers as a TaskQueue's status shows them: coarse, so that most ticks change nothing.

A status is watched by GitOps tools and kept by the API server; the exact numbers are in
the metrics. All functions are pure, and zero stays zero.
"""

from __future__ import annotations

from sluiceway.api.duration import format_duration

_UNITS_S = (3600.0, 60.0, 1.0, 0.001)


def shown_count(value: int) -> int:
    """Exact below 100, two significant digits above: 99 → 99, 1 140 → 1 100."""
    if value < 100:
        return value
    step = 10 ** (len(str(value)) - 2)
    return int((value + step // 2) // step * step)


def shown_duration(seconds: float) -> str:
    """Two significant digits of the largest unit: 35.4 → «35s», 125 → «2m6s», 0.0321 → «32ms»."""
    if seconds <= 0:
        return "0s"
    unit = next((u for u in _UNITS_S if seconds >= u), _UNITS_S[-1])
    amount = seconds / unit
    if unit == _UNITS_S[-1]:
        # Durations are written to the millisecond; what is not zero must not look like it.
        rounded = max(1.0, _two_digits(amount))
    else:
        rounded = round(amount, 1) if amount < 10 else float(round(amount))
    return format_duration(rounded * unit)


def shown_rate(per_s: float) -> str:
    """A decimal number: two significant digits, one below 0.1, and 0 below 0.001.

    A rate fades for a long time after the last arrival; written to two digits it would
    change at every look until nothing of it is left.
    """
    if per_s < 0.001:
        return "0"
    if per_s < 0.1:
        return f"{float(f'{per_s:.1g}'):.3f}".rstrip("0")
    if per_s < 10:
        return f"{per_s:.2g}"
    return str(int(_two_digits(per_s)))


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")
