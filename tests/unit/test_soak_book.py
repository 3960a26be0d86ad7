"""A soak is written down as it goes, goes on where it was interrupted, and says what was wrong."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLEAN = {"published": 10, "lost": 0, "run_twice": 0, "run_again": 1, "cut": 1, "stranded": 0}


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Plays a soak of one row, five times in parts of two; the code that it exits with."""
    monkeypatch.syspath_prepend(str(ROOT))
    soak = importlib.import_module("benchmarks.soak.__main__")

    def play(run: Any, *options: str) -> int:
        row = soak.Row(
            name="kills", event="killed", small=1, full=5, part=2, run=run, never=("lost",)
        )
        monkeypatch.setattr(soak, "ROWS", (row,))
        monkeypatch.setattr(soak, "EVENTS", {"kills": "killed"})
        monkeypatch.setattr(sys, "argv", ["soak", "--folder", str(tmp_path), *options])
        return soak.main()

    return play


def test_an_interrupted_soak_goes_on_with_the_parts_that_are_missing(
    played: Any, tmp_path: Path
) -> None:
    parts: list[tuple[int, int]] = []

    def interrupted(times: int, seed: int) -> dict[str, Any]:
        if len(parts) == 2:
            raise KeyboardInterrupt
        parts.append((times, seed))
        return dict(CLEAN)

    assert played(interrupted, "--full") == 130
    assert parts == [(2, 1), (2, 3)]
    assert "| killed | 4 | 20 | 0 | 0 | 2 | 2 | 0 |" in (tmp_path / "table.md").read_text()

    again: list[tuple[int, int]] = []

    def goes_on(times: int, seed: int) -> dict[str, Any]:
        again.append((times, seed))
        return dict(CLEAN)

    assert played(goes_on, "--full") == 0
    assert again == [(1, 5)]
    assert "| killed | 5 | 30 | 0 | 0 | 3 | 3 | 0 |" in (tmp_path / "table.md").read_text()


def test_a_count_that_must_be_zero_makes_the_soak_fail_and_is_named(
    played: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert played(lambda times, seed: CLEAN | {"lost": 1}) == 1
    assert "lost is 1, and must be 0" in capsys.readouterr().out
