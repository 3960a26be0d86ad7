"""`sluiceway demo`, small, from its start to its end, and ended in the middle of it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

SMALL = ("demo", "--clicks", "6", "--duration", "3", "--max-workers", "2")
MARK = "SLUICEWAY_DEMO_TEST"
DEADLINE_S = 120.0


@pytest.fixture
def mark() -> str:
    """In the environment of the demo, and so of every process that it starts."""
    return uuid.uuid4().hex


@pytest.fixture
def demo(tmp_path: Path, mark: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sluiceway", *SMALL, "--output", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, MARK: mark},
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def started_by(mark: str) -> list[int]:
    """The processes that carry this mark."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARK}={mark}".encode() in environ.read_bytes():
                found.append(int(environ.parent.name))
        except OSError:
            continue  # it has just ended, or is somebody else's
    return found


def until_nothing_is_left(mark: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while left := started_by(mark):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.1)


def read_until(demo: subprocess.Popen[str], words: str) -> None:
    """Follow the story up to a line with these words."""
    assert demo.stderr is not None
    for line in demo.stderr:
        if words in line:
            return
    pytest.fail(f"the demo ended before it said: {words}")


def test_the_whole_show_loses_nothing_and_leaves_a_report_and_no_process(
    demo: subprocess.Popen[str], tmp_path: Path, mark: str
) -> None:
    out, err = demo.communicate(timeout=240)
    assert demo.returncode == 0, err
    until_nothing_is_left(mark)

    figures = json.loads(out)
    assert figures["exports"] == {
        "published": 6,
        "finished": 6,
        "failed": 0,
        "lost": 0,
        "run_twice": 0,
    }
    assert figures["pdf_before"]["count"] == figures["pdf_after"]["count"] == 6
    assert figures["export_workers"][0] == figures["export_workers"][2] == 0
    assert figures["export_workers"][1] in (1, 2)
    assert figures["asked_within_s"] < figures["started_within_s"]

    report = tmp_path / "demo-report"
    assert {path.name for path in report.iterdir()} == {
        "index.html",
        "picture.png",
        "picture.svg",
        "figures.json",
        "queues.yaml",
        "shop.sqlite3",
    }
    with closing(sqlite3.connect(report / "shop.sqlite3")) as db:
        (pdfs,) = db.execute(
            "SELECT COUNT(*) FROM exports WHERE substr(pdf, 1, 4) = CAST('%PDF' AS BLOB)"
        ).fetchone()
        (ids,) = db.execute(
            "SELECT COUNT(DISTINCT task_id) FROM task_runs WHERE queue = 'exports'"
        ).fetchone()
    # Calibration makes 20 small ones; then 6 in each act.
    assert (pdfs, ids) == (32, 6)


@pytest.mark.parametrize(
    ("words", "number"),
    [
        pytest.param("1  The meltdown", signal.SIGINT, id="Ctrl-C in the first act"),
        pytest.param("exports 2 workers", signal.SIGINT, id="Ctrl-C while exporters start"),
        pytest.param("1  The meltdown", signal.SIGTERM, id="SIGTERM in the first act"),
        pytest.param("exports 2 workers", signal.SIGKILL, id="SIGKILL: the guard does it"),
    ],
)
def test_a_show_that_is_ended_leaves_no_process_behind(
    demo: subprocess.Popen[str], mark: str, words: str, number: signal.Signals, tmp_path: Path
) -> None:
    read_until(demo, words)
    assert len(started_by(mark)) > 10
    demo.send_signal(number)
    _, err = demo.communicate(timeout=120)
    if number is not signal.SIGKILL:
        assert demo.returncode == 130
        assert err.splitlines()[-1] == (
            "sluiceway: stopped before the end; nothing is left running"
        )
    until_nothing_is_left(mark)
    assert not (tmp_path / "demo-report").exists()
