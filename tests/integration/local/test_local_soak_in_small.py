"""A short form of benchmarks/soak: nothing is lost, nothing stranded, nothing run twice unasked."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("row", ["graces", "restarts", "subtasks", "orphaned", "failovers"])
def test_under_work_every_task_comes_to_its_end_and_only_what_was_cut_runs_again(
    row: str, tmp_path: Path
) -> None:
    options = ("--rows", row, "--times", "1", "--folder", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (tmp_path / "rows.jsonl").read_text().splitlines()
    figures = json.loads(line)["figures"]
    assert figures["published"] == figures["finished"] != 0
    assert figures["still_held"] == 0


@pytest.mark.parametrize("row", ["restarts", "drains"])
def test_one_that_is_told_to_go_leaves_nothing_behind(row: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak", "--rows", row, "--folder", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as soak:
        try:
            # A server and workers, at least.
            while len(began := descendants(soak.pid)) < 2:
                assert soak.poll() is None
                time.sleep(0.05)
            soak.send_signal(signal.SIGTERM)
            assert soak.wait(300) == 128 + signal.SIGTERM
        finally:
            soak.kill()
    # What was on its way out has time for it.
    deadline = time.monotonic() + 120
    while (left := began & processes().keys()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == set()


def processes() -> dict[int, int]:
    """Process → its parent; those that have ended and were not waited for are none."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(stat.parent.name)] = int(parent)
    return found


def descendants(of: int) -> set[int]:
    parents = processes()
    found: set[int] = set()
    while new := {one for one, parent in parents.items() if parent in {of, *found}} - found:
        found |= new
    return found
