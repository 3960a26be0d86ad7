"""A short form of benchmarks/soak: nothing is lost, nothing stranded, nothing run twice unasked."""

from __future__ import annotations

import json
import subprocess
import sys
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
