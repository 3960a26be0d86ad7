"""Traces from CSV files, plain or gzipped.

Two forms, told apart by the header line:

- a line for each task: ``arrival`` and ``run`` in seconds, and where wanted ``task`` and
  ``queue``;
- a line for each interval: ``t_seconds``, ``arrivals`` and, where wanted,
  ``mean_duration_s``. The tasks of an interval are laid into it at random, by a seed.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from sluiceway.simulate.trace import Trace, TraceError

_ARRIVAL = ("arrival", "arrival_s", "arrival_seconds", "t_seconds")
_RUN = ("run", "run_s", "run_seconds", "duration_s")
_TASK = ("task", "task_name", "name")
_QUEUE = ("queue",)
_NUMBER = ("arrivals",)
_MEAN = ("mean_duration_s", "mean_run_s")

LONGEST_S = 10 * 365 * 86_400.0
"""A trace of ten years and more is one of times of day, which nobody meant."""
MOST_TASKS = 50_000_000
"""More would not fit into memory."""


def read_trace(
    path: Path, *, run_s: float | None = None, keep: float = 1.0, seed: int = 1
) -> Trace:
    """The trace in ``path``.

    Args:
        run_s: the mean run time where the file has none; drawn exponentially.
        keep: the share of the tasks to keep, drawn by the seed.
        seed: for all that is drawn.

    Raises:
        TraceError: it cannot be read, or is no trace.
    """
    table = _Table(path)
    drawing = _Drawing(table, random.Random(seed), run_s, keep)
    if table.column(_NUMBER) is not None:
        return _intervals(table, drawing)
    return _tasks(table, drawing)


class _Table:
    """A CSV file, and errors that tell where in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name.removesuffix(".gz").removesuffix(".csv")
        try:
            reader = csv.reader(io.StringIO(_text(path)))
            self._header = [cell.strip().lower() for cell in next(reader, [])]
            self.rows = [(reader.line_num, row) for row in reader if row]
        except UnicodeDecodeError as exc:
            raise TraceError(f"{path}: is no text: write CSV in UTF-8, plain or as .gz") from exc
        except (OSError, EOFError, csv.Error) as exc:
            why = getattr(exc, "strerror", None) or exc
            raise TraceError(f"{path}: cannot be read: {why}") from exc

    def column(self, names: Sequence[str]) -> int | None:
        """Where the first of these columns is."""
        return next((self._header.index(name) for name in names if name in self._header), None)

    def number(self, line: int, row: list[str], column: int) -> float:
        """A finite number that is not below 0."""
        text = row[column].strip() if column < len(row) else ""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < 0:
            what = self._header[column]
            raise self.error(f"line {line}, {what}: {text!r} is not a number from 0 on")
        return value

    def moment(self, line: int, row: list[str], column: int) -> float:
        """A number of seconds within the longest trace."""
        value = self.number(line, row, column)
        if value > LONGEST_S:
            raise self.error(
                f"line {line}, {self._header[column]}: {value:.0f} s is more than ten years; write "
                "seconds from the trace's start, and when that was as --start"
            )
        return value

    def error(self, message: str) -> TraceError:
        """What is wrong with this file, in a line."""
        return TraceError(f"{self._path}: {message}")


def _text(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")


class _Drawing:
    """What is left to chance."""

    def __init__(
        self, table: _Table, draw: random.Random, run_s: float | None, keep: float
    ) -> None:
        self._table = table
        self.draw = draw
        self._run_s = run_s
        self._keep = keep

    def kept(self, came: int) -> int:
        """How many of ``came`` are kept: each with the same chance."""
        keep = self._keep
        if keep >= 1:
            return came
        if came * keep > 1000:
            # Close to normal, and a hundred thousand draws saved.
            spread = math.sqrt(came * keep * (1 - keep))
            return max(0, min(came, round(self.draw.gauss(came * keep, spread))))
        return sum(self.draw.random() < keep for _ in range(came))

    def run_s(self, line: int, mean_s: float | None) -> float:
        """A run time where the file tells a mean at most."""
        mean_s = self._run_s if mean_s is None else mean_s
        if mean_s is None:
            raise self._table.error(
                f"line {line} has no run time; give the mean that is to be taken (--run-time)"
            )
        return self.draw.expovariate(1 / mean_s) if mean_s > 0 else 0.0


def _tasks(table: _Table, drawing: _Drawing) -> Trace:
    arrival, run = table.column(_ARRIVAL), table.column(_RUN)
    task, queue = table.column(_TASK), table.column(_QUEUE)
    if arrival is None:
        raise table.error(
            "line 1 names no column of arrivals; write a header such as "
            "arrival,run,task,queue (seconds; task and queue where wanted)"
        )
    found: list[tuple[float, float, str, str]] = []
    for line, row in table.rows:
        if not drawing.kept(1):
            continue
        blank = run is None or not _cell(row, run)
        took = drawing.run_s(line, None) if run is None or blank else table.moment(line, row, run)
        at = table.moment(line, row, arrival)
        found.append((at, took, _cell(row, task) or "task", _cell(row, queue)))
    found.sort(key=lambda one: one[0])
    names = tuple(dict.fromkeys(one[2] for one in found))
    index = {name: position for position, name in enumerate(names)}
    return Trace(
        name=table.name,
        arrivals=[one[0] for one in found],
        runs=[one[1] for one in found],
        tasks=[index[one[2]] for one in found] if len(names) > 1 else (),
        names=names or ("task",),
        queues=[one[3] for one in found] if queue is not None else (),
        span_s=found[-1][0] if found else 0.0,
    )


def _intervals(table: _Table, drawing: _Drawing) -> Trace:
    start, number, mean = table.column(_ARRIVAL), table.column(_NUMBER), table.column(_MEAN)
    if start is None or number is None:
        raise table.error("line 1 names arrivals, and no t_seconds that tells of when")
    starts = [table.moment(line, row, start) for line, row in table.rows]
    for (line, _), (before, begins) in zip(table.rows[1:], pairwise(starts), strict=True):
        if begins <= before:
            raise table.error(f"line {line}: {begins:g} does not rise from {before:g} before it")
    width = starts[1] - starts[0] if len(starts) > 1 else 60.0
    arrivals: list[float] = []
    runs: list[float] = []
    for (line, row), begins in zip(table.rows, starts, strict=True):
        kept = drawing.kept(int(table.number(line, row, number)))
        if len(arrivals) + kept > MOST_TASKS:
            raise table.error(
                f"line {line}: more than {MOST_TASKS:,} tasks are too many to play; keep a share "
                "of them, such as --keep 0.01"
            )
        blank = mean is None or not _cell(row, mean)
        took = None if mean is None or blank else table.number(line, row, mean)
        arrivals += sorted(begins + drawing.draw.random() * width for _ in range(kept))
        runs += [drawing.run_s(line, took) for _ in range(kept)]
    return Trace(
        name=table.name,
        arrivals=arrivals,
        runs=runs,
        span_s=starts[-1] + width if starts else 0.0,
    )


def _cell(row: list[str], column: int | None) -> str:
    return row[column].strip() if column is not None and column < len(row) else ""
