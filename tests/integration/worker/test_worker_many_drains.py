"""A short form of the stress run in benchmarks/drains.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_workers_drained_recalled_and_replaced_under_load_lose_repeat_and_cut_no_task() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.drains", "--drains", "10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    counts = dict(line.split() for line in done.stdout.splitlines())
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts["drains"] == "10"
    assert counts["published"] == counts["finished"] != "0"
    assert counts["still_held"] == counts["still_queued"] == "0"
