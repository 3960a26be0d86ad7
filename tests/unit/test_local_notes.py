"""What a local mode that was killed leaves behind: whose processes are gone is told for certain."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sluiceway.local.notes import Notes, place

pytestmark = pytest.mark.skipif(
    not place(), reason="this system does not tell where a number holds"
)


def ended() -> int:
    """The number of a process group that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    child.wait()
    return child.pid


def test_the_next_run_is_told_of_the_workers_of_which_no_process_is_left(tmp_path: Path) -> None:
    alive = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    )
    Notes(tmp_path).keep({"work-a-1": ended(), "work-a-2": alive.pid})
    later = Notes(tmp_path)
    assert [end.worker for end in later.ends()] == ["work-a-1"]
    alive.communicate(b"\n")
    assert {end.worker for end in later.ends()} == {"work-a-1", "work-a-2"}


def test_who_runs_itself_knows_of_its_own_workers_in_another_way(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    notes.keep({"work-a-1": ended()})
    assert notes.ends() == ()


def test_what_was_looked_after_is_told_to_nobody_else(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    notes.keep({"work-a-1": ended(), "work-a-2": ended()})
    notes.forget(["work-a-1"])
    assert [end.worker for end in Notes(tmp_path).ends()] == ["work-a-2"]


@pytest.mark.parametrize("note", ["", "another boot\n1234567\n", "half a no"])
def test_a_note_of_another_machine_or_a_broken_one_proves_nothing(
    tmp_path: Path, note: str
) -> None:
    notes = Notes(tmp_path)
    (tmp_path / "work-a-1").write_text(note)
    assert notes.ends() == ()
