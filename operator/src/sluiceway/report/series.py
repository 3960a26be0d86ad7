"""Series as text, metric by metric and piece by piece, for thousands of TaskQueues.

A metric's series must stand together, so each of them goes through all fleets once. The
Prometheus client would make an object of every series first, and hold all of them until
the last is written; here a line is written at once, and nobody holds more than a piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import TypeVar

from sluiceway.report.metric import Kind, Metric, Sample

T = TypeVar("T")

Owned = Iterable[tuple[str, T]]
"""What series are made of, each with the labels that all of its series bear, as text."""

_LINES = 2_500
"""In one piece: a few milliseconds, after which others have their turn. Theirs may be ten
times as long, and who scrapes waits no more than some ten seconds for the last piece."""


def labelled(names: Iterable[str], values: Iterable[str]) -> str:
    """Labels as they stand within the brackets."""
    return ",".join(
        f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)
    )


def gauges_and_counters(
    metric: Metric,
    owned: Owned[T],
    read: Callable[[T], Iterable[Sample]],
    *,
    behind: int,
    open_metrics: bool,
) -> Iterator[str]:
    """A metric's head and its series.

    Args:
        read: an owner's samples, with the values of the labels that are not its own.
        behind: how many of the metric's labels are the owner's; they come first.
    """
    name = metric.name
    more = tuple(f',{label}="' for label in metric.labels[behind:])
    lines = [_head(metric, open_metrics)]
    for who, one in owned:
        for values, number in read(one):
            labels = who
            for label, value in zip(more, values, strict=True):
                labels += f'{label}{_escaped(value)}"'
            lines.append(f"{name}{{{labels}}} {_number(number)}\n")
        if len(lines) >= _LINES:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def histograms(
    metric: Metric,
    owned: Owned[T],
    read: Callable[[T], tuple[Iterable[int], float]],
    *,
    bounds: Iterable[str],
    open_metrics: bool,
) -> Iterator[str]:
    """A histogram's head and its series, of owners whose labels are all that it has.

    Args:
        read: an owner's buckets, each by itself, and the sum.
        bounds: the upper ends of the buckets.
    """
    name = metric.name
    edges = tuple(f',le="{bound}"' for bound in bounds)
    lines = [_head(metric, open_metrics)]
    for who, one in owned:
        counts, total = read(one)
        so_far = tuple(accumulate(counts))
        for edge, count in zip(edges, so_far, strict=True):
            lines.append(f"{name}_bucket{{{who}{edge}}} {count}\n")
        lines.append(f"{name}_count{{{who}}} {so_far[-1]}\n")
        lines.append(f"{name}_sum{{{who}}} {_number(total)}\n")
        if len(lines) >= _LINES:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _head(metric: Metric, open_metrics: bool) -> str:
    # OpenMetrics calls a counter by its name without the end that its series have.
    is_short = open_metrics and metric.kind is Kind.COUNTER
    name = metric.name.removesuffix("_total") if is_short else metric.name
    about = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    if open_metrics:
        about = about.replace('"', r"\"")
    return f"# HELP {name} {about}\n# TYPE {name} {metric.kind.value}\n"


def _number(value: float) -> str:
    # A bool is written as the number that it is.
    return repr(int(value)) if isinstance(value, int) else repr(value)


def _escaped(value: str) -> str:
    if '"' in value or "\\" in value or "\n" in value:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return value
