"""A short form of benchmarks/soak: nothing is lost, nothing stranded, nothing run twice unasked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "row",
    ["graces", "restarts", "subtasks", "orphaned", "failovers", "moves", "fallen-recovery"],
)
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
    forgotten = figures.get("forgotten_lost", 0)  # by Redis itself
    assert figures["published"] - forgotten == figures["finished"] != 0
    assert figures["still_held"] == 0


def test_one_that_is_told_to_go_leaves_nothing_behind(tmp_path: Path) -> None:
    mark = f"SOAK_TEST={tmp_path}"
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak", "--rows", "restarts", "--folder", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "SOAK_TEST": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as soak:
        try:
            while not any("sluiceway_worker" in one for one in running(mark)):
                assert soak.poll() is None
                time.sleep(0.05)
            soak.send_signal(signal.SIGTERM)
            assert soak.wait(300) == 128 + signal.SIGINT
        finally:
            soak.kill()
    # What was on its way out has time for it.
    deadline = time.monotonic() + 120
    while (left := running(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def running(mark: str) -> list[str]:
    """The commands of all processes that have this among their variables."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found
