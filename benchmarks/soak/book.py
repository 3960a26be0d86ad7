"""What a soak has shown so far: a line of JSON for each part, and the table made from them.

A run that was interrupted is gone on with: what stands in the file need not be done again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import Result
from benchmarks.verdict import spread


@dataclass(frozen=True, kw_only=True)
class Part:
    """A row's event, so many times, with what was counted."""

    row: str
    times: int
    at: str
    """When it ended, ISO 8601, UTC."""
    took_s: float
    figures: Result


class Book:
    """The file of parts, in a folder that is made with it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = folder / "rows.jsonl"
        self._table = folder / "table.md"

    def parts(self, row: str) -> list[Part]:
        """What was written of that row."""
        read = [Part(**json.loads(line)) for line in self._written().splitlines()]
        return [part for part in read if part.row == row]

    def times(self, row: str) -> int:
        """How often its event has happened."""
        return sum(part.times for part in self.parts(row))

    def add(self, part: Part) -> None:
        """Write it down at once; the file is replaced as a whole, so that no line is cut off."""
        fresh = self._lines.with_suffix(".fresh")
        fresh.write_text(self._written() + json.dumps(asdict(part)) + "\n", encoding="utf-8")
        fresh.replace(self._lines)

    def write_table(self, events: Mapping[str, str], machine: Result) -> str:
        """The table as Markdown, also as a file beside the lines.

        Args:
            events: what happens, by row, in the table's order.
        """
        text = "\n".join(
            [
                "| event | times | tasks | lost | run twice | run again, begun by who was ended "
                "| cut | stranded | more |",
                "|---|---|---|---|---|---|---|---|---|",
                *(self._row(row, event) for row, event in events.items() if self.parts(row)),
                "",
                f"{self._days()}; {machine['cores']} cores, {machine['cpu']}, "
                f"Python {machine['python']}, Celery {machine['celery']}, "
                f"kombu {machine['kombu']}.",
            ]
        )
        self._table.write_text(text + "\n", encoding="utf-8")
        return text

    def _row(self, row: str, event: str) -> str:
        parts = self.parts(row)
        total: dict[str, Any] = {}
        for part in parts:
            total = added(total, part.figures)
        named = ("published", "lost", "run_twice", "run_again", "cut", "stranded")
        cells = [event, sum(part.times for part in parts)]
        cells += [total.get(name, "–") for name in named]
        return f"| {' | '.join(map(str, cells))} | {_more(total)} |"

    def _days(self) -> str:
        days = sorted({json.loads(line)["at"][:10] for line in self._written().splitlines()})
        return " to ".join(dict.fromkeys([*days[:1], *days[-1:]]))

    def _written(self) -> str:
        return self._lines.read_text(encoding="utf-8") if self._lines.exists() else ""


def added(one: Result, other: Result) -> Result:
    """Counts are added, lists joined, sentences kept."""
    both = {**one, **other}
    for name in one.keys() & other.keys():
        if not isinstance(one[name], str):
            both[name] = one[name] + other[name]
    return both


_TOLD = {
    "listed_s": "back in its list",
    "back_s": "begun again elsewhere",
    "again_s": "all consume again",
    "led_s": "another leads",
}
_COUNTED = {
    "restarted": "workers replaced",
    "grace_ran_out": "graces ran out",
    "stranded_never_started": "of the stranded never begun",
    "publishing_failed": "publishings failed",
    "operators_killed": "operators killed",
    "supervisors_killed": "times killed",
    "unasked_failovers": "failovers that nobody asked for",
    "letters": "dead letters",
    "rollouts": "rollouts",
    "forgotten": "tasks of which Redis itself forgot something",
    "forgotten_in_step": "of them though the replica was not cut off",
    "forgotten_lost": "of them lost by it",
    "forgotten_run_twice": "of them run twice",
    "subtasks_published_again": "subtasks published again by a parent that ran again",
    "passed": "scenes passed",
    "failed": "scenes failed",
}


def _more(total: Result) -> str:
    said = []
    for name, words in _TOLD.items():
        if total.get(name):
            seconds = spread(total[name])
            said.append(f"{words} after {seconds['median']} s, at worst {seconds['worst']} s")
    said += [f"{total[name]} {words}" for name, words in _COUNTED.items() if total.get(name)]
    said += [f"at {len(set(total['points']))} different points"] if total.get("points") else []
    said += [str(total["said"])] if total.get("said") else []
    return "; ".join(said)
