"""The count of a soak hides nothing: what is lost, stranded, cut or run twice is told apart."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
KILLED = {7: 100.0}
"""Process 7 was ended by force at 100."""


class Records:
    """What stands in the database and in the broker at the end."""

    def __init__(self, *events: tuple[str, str, float, int], held: set[str]) -> None:
        self._events = events
        self._held = held

    def rows(self, event: str) -> list[tuple[str, float, int]]:
        return [row[1:] for row in self._events if row[0] == event]

    def events(self, event: str) -> Counter[str]:
        return Counter(task for task, _, _ in self.rows(event))

    def held(self) -> set[str]:
        return self._held

    def queued(self) -> int:
        return 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    verdict = importlib.import_module("benchmarks.verdict")

    def count(*events: tuple[str, str, float, int], held: set[str] | None = None) -> Any:
        return verdict.Verdict({"a"}, KILLED).figures(Records(*events, held=held or set()))

    return count


def test_what_stands_nowhere_is_lost_and_what_is_held_is_stranded(counted: Any) -> None:
    assert counted()["lost"] == 1
    assert counted(held={"a"})["lost"] == 0
    assert counted(held={"a"})["stranded"] == 1


def test_what_a_killed_process_ran_may_run_again_after_its_death_and_only_then(
    counted: Any,
) -> None:
    again = [("started", "a", 101.0, 8), ("finished", "a", 102.0, 8)]
    cut = counted(("started", "a", 99.0, 7), *again)
    assert (cut["run_again"], cut["run_twice"], cut["cut"], cut["back_s"]) == (1, 0, 1, [1.0])

    long_done = counted(("started", "a", 50.0, 7), ("finished", "a", 51.0, 7), *again)
    assert (long_done["run_again"], long_done["run_twice"]) == (0, 1)

    beside_the_living = counted(("started", "a", 99.0, 6), *again)
    assert beside_the_living["run_twice"] == 1

    too_early = counted(("started", "a", 90.0, 7), ("started", "a", 95.0, 8))
    assert too_early["run_twice"] == 1
