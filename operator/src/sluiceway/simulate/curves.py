"""A comparison as curves over time, thinned to what a picture can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sluiceway.simulate.compare import Comparison
from sluiceway.simulate.run import Change, Run

COLUMNS = 720
MOST_CHANGES = 3000


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyCurves:
    """One policy, one value for each column."""

    policy: str
    workers: list[float]
    """Workers that existed, on average."""
    waits_s: list[float | None]
    """The longest wait of the tasks that arrived; None where none did."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Everything over one time axis of equal columns."""

    width_s: float
    """Of one column."""
    end_s: float
    arrivals: list[float]
    """Tasks that arrived per second."""
    policies: list[PolicyCurves]
    changes: list[Change]
    """Our decisions, as far as they were news."""
    left_out: int
    """How many of these are not among them."""


def curves(comparison: Comparison) -> Curves:
    """The curves of ``comparison``."""
    trace = comparison.case.trace
    end_s = max([1.0, trace.span_s, *(run.end_s for run in comparison.runs)])
    width_s = end_s / COLUMNS
    came = [0] * COLUMNS
    columns = [min(int(at / width_s), COLUMNS - 1) for at in trace.arrivals]
    for column in columns:
        came[column] += 1
    changes = comparison.runs[0].changes
    kept = _fewer(changes)
    return Curves(
        width_s=width_s,
        end_s=end_s,
        arrivals=[number / width_s for number in came],
        policies=[
            PolicyCurves(
                policy=run.policy,
                workers=_workers(run, width_s),
                waits_s=_longest(run, columns),
            )
            for run in comparison.runs
        ],
        changes=kept,
        left_out=len(changes) - len(kept),
    )


def _workers(run: Run, width_s: float) -> list[float]:
    """Worker-seconds of each column over its width, so that the area is the cost."""
    sums = [0.0] * COLUMNS
    edges = [*run.sizes, (run.end_s, 0)]
    for (begins, workers), (ends, _) in pairwise(edges):
        ends = min(ends, run.end_s)
        if not workers or ends <= begins:
            continue
        last = min(int(ends / width_s), COLUMNS - 1)
        for column in range(min(int(begins / width_s), last), last + 1):
            left, right = max(begins, column * width_s), min(ends, (column + 1) * width_s)
            sums[column] += workers * max(0.0, right - left)
    return [total / width_s for total in sums]


def _longest(run: Run, columns: Sequence[int]) -> list[float | None]:
    longest: list[float | None] = [None] * COLUMNS
    for column, wait in zip(columns, run.waits(), strict=True):
        before = longest[column]
        if before is None or wait > before:
            longest[column] = wait
    return longest


def _fewer(changes: Sequence[Change]) -> list[Change]:
    """All of them; of very many those that changed the number, and of these evenly some."""
    if len(changes) <= MOST_CHANGES:
        return list(changes)
    moves = [change for change in changes if change.replicas != change.before]
    if len(moves) <= MOST_CHANGES:
        return moves
    return [moves[index * len(moves) // MOST_CHANGES] for index in range(MOST_CHANGES)]
