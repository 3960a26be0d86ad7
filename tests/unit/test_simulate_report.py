"""What is told of a simulation: figures, curves, the table, the page, and the command."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.cli.output import CommandError, ExitCode, Output
from sluiceway.cli.simulate import simulate as command
from sluiceway.simulate.compare import (
    CLAIRVOYANT,
    FIXED,
    KEDA_BEST,
    KEDA_DEFAULT,
    KEDA_TUNED,
    OURS,
    TRACKING,
    Case,
    Comparison,
    compare,
)
from sluiceway.simulate.curves import COLUMNS, curves
from sluiceway.simulate.figures import figures, percentile
from sluiceway.simulate.ours import MONDAY
from sluiceway.simulate.page import page
from sluiceway.simulate.picture import COLOURS
from sluiceway.simulate.run import Change, Run
from sluiceway.simulate.table import share
from sluiceway.simulate.trace import Trace
from sluiceway.simulate.world import Plant


def trace(*tasks: tuple[float, float], name: str = "t", span_s: float = 0.0) -> Trace:
    arrivals, runs = [t[0] for t in tasks], [t[1] for t in tasks]
    return Trace(name=name, arrivals=arrivals, runs=runs, span_s=max([span_s, *arrivals]))


def case(made: Trace, **scaling: object) -> Case:
    spec = TaskQueueSpec.model_validate({"queues": ["q"], "scaling": scaling})
    return Case(trace=made, plant=Plant(), spec=spec, begins_at=MONDAY, tick_s=2.0)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    burst = [(100.0 + n / 100, 4.0) for n in range(40)]
    return compare(case(trace(*burst, (500.0, 4.0), name="</script>", span_s=900)))


def run_of(starts: list[float], **more: Any) -> Run:
    made = trace(*[(0.0, 1.0)] * len(starts))
    given: dict[str, Any] = {"worker_s": 3600.0, "end_s": 100.0, "sizes": [(0.0, 2)]}
    return Run(policy="p", trace=made, plant=Plant(), starts=starts, **given | more)


def test_a_percentile_is_a_wait_that_was_waited() -> None:
    waits = [float(n) for n in range(1, 101)]

    assert [percentile(waits, p) for p in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([7.0], 99) == 7
    assert percentile([], 50) == 0


def test_a_task_that_never_started_has_waited_to_the_end_and_is_counted() -> None:
    found = figures(run_of([1.0, math.nan]), max_wait_s=30, bound_s=1800)

    assert (found.within, found.max_s, found.never_started) == (0.5, 100, 1)
    assert (found.worker_hours, found.ratio) == (1, 2)


def test_a_wait_of_just_the_target_is_within_it() -> None:
    assert figures(run_of([30.0]), max_wait_s=30, bound_s=1).within == 1


def test_not_quite_all_is_never_told_as_all() -> None:
    assert [share(v) for v in (1.0, 0.99999, 0.9911)] == ["100.0 %", "99.9+ %", "99.1 %"]


def test_all_policies_play_the_same_trace(comparison: Comparison) -> None:
    assert [row.policy for row in comparison.figures] == [
        OURS,
        KEDA_DEFAULT,
        KEDA_TUNED,
        KEDA_BEST,
        TRACKING,
        FIXED,
        CLAIRVOYANT,
    ]
    assert all(row.never_started == 0 for row in comparison.figures)
    assert all(row.ratio >= 1 for row in comparison.figures)
    assert set(COLOURS) == {row.policy for row in comparison.figures}


def test_the_best_keda_is_no_worse_than_the_tuned_one_in_time(comparison: Comparison) -> None:
    row = {row.policy: row for row in comparison.figures}

    assert row[KEDA_BEST].within >= min(0.99, row[KEDA_TUNED].within)


def test_the_best_fixed_fleet_is_just_large_enough(comparison: Comparison) -> None:
    fixed = next(row for row in comparison.figures if row.policy == FIXED)

    # 40 tasks of 4 s within 30 s: each worker begins 8 of them.
    assert fixed.setting == "5 workers"


def test_the_area_under_the_workers_is_the_cost(comparison: Comparison) -> None:
    drawn = curves(comparison)

    for shown, run in zip(drawn.policies, comparison.runs, strict=True):
        assert len(shown.workers) == len(shown.waits_s) == COLUMNS
        assert sum(shown.workers) * drawn.width_s == pytest.approx(run.worker_s)
    assert sum(drawn.arrivals) * drawn.width_s == pytest.approx(41)


def test_of_very_many_decisions_those_that_changed_the_number_are_kept(
    comparison: Comparison,
) -> None:
    changes = [
        Change(at=float(n), before=1, replicas=1 + n % 2, reason="R", sentence="S.")
        for n in range(5000)
    ]
    comparison.runs[0].changes[:], before = changes, list(comparison.runs[0].changes)
    try:
        drawn = curves(comparison)
    finally:
        comparison.runs[0].changes[:] = before

    assert len(drawn.changes) == 2500
    assert drawn.left_out == 2500


class Outside(HTMLParser):
    """What a page would fetch, and its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.fetched += [v or "" for k, v in attrs if k in ("src", "href")]


def test_the_page_needs_nothing_else_and_a_name_cannot_break_it(comparison: Comparison) -> None:
    html = page(comparison, curves(comparison))
    found = Outside()
    found.feed(html)

    assert (found.fetched, found.scripts) == ([], 2)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", html)
    assert "</script> within" not in html


def test_the_page_has_the_reason_of_each_decision(comparison: Comparison) -> None:
    html = page(comparison, curves(comparison))
    data = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', html, re.S)[1])  # type: ignore[index]

    assert [c[4] for c in data["changes"]] == [c.sentence for c in comparison.runs[0].changes]
    assert len(data["policies"]) == 7


# The command.

CSV = "arrival,run,queue\n" + "".join(f"{n},2,video\n{n},1,mail\n" for n in range(50))
QUEUES = """\
apiVersion: sluiceway.dev/v1alpha1
kind: TaskQueue
metadata: {name: video}
spec:
  worker: {app: tasks, concurrency: 2}
  scaling: {maxReplicas: 4, target: {maxWait: 10s}}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    queues, tasks = tmp_path / "queues.yaml", tmp_path / "tasks.csv"
    queues.write_text(QUEUES)
    tasks.write_text(CSV)
    return queues, tasks


def test_the_command_plays_a_taskqueue_with_the_tasks_of_its_queues(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    queues, tasks = files
    command(file=queues, trace=[tasks], quick=True, output=Output.JSON)
    told = json.loads(capsys.readouterr().out)

    assert (told["taskqueue"], told["tasks"], told["max_wait_s"]) == ("default/video", 50, 10)
    assert told["plant"]["slots"] == 2
    ours = told["policies"][0]
    assert (ours["policy"], ours["cut"]) == ("sluiceway", 0)
    assert ours["most_workers"] <= 4


def test_without_a_taskqueue_all_queues_of_a_trace_are_played(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    command(trace=[files[1]], quick=True, output=Output.JSON)

    assert json.loads(capsys.readouterr().out)["tasks"] == 100


def test_the_command_writes_a_page_and_a_picture(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queues, tasks = files
    command(file=queues, trace=[tasks], quick=True, output_dir=tmp_path / "out")

    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"default-video-tasks.html", "default-video-tasks.png"}
    assert "sluiceway" in capsys.readouterr().out


def test_a_trace_without_a_task_for_the_queues_is_said_and_is_no_success(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    queues, tasks = files
    tasks.write_text("arrival,run,queue\n1,1,other\n")
    with pytest.raises(CommandError, match="no trace has a task") as caught:
        command(file=queues, trace=[tasks])
    assert caught.value.code is ExitCode.PROBLEMS
    assert "tasks has no task for video" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "say what to play"),
        ({"trace": [Path("/nowhere.csv")]}, "cannot be read"),
        ({"suite": True, "cold_start": "5"}, '--cold-start: "5" is not a duration'),
        ({"suite": True, "start": "noon"}, "--start: 'noon' is not an ISO time"),
        ({"suite": True, "tick": "0s"}, "--tick: 0s is no time at all"),
        ({"suite": True, "file": Path("/nowhere.yaml")}, "nowhere"),
    ],
)
def test_a_wrong_option_is_named_with_its_mend(options: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError, match=re.escape(said)):
        command(**options)
