"""Traces: what a file may look like, what is said of one that is wrong, and made-up ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sluiceway.simulate import synthetic
from sluiceway.simulate.csv_trace import read_trace
from sluiceway.simulate.suite import suite
from sluiceway.simulate.trace import TraceError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "week.csv"
    path.write_text(text)
    return path


def test_a_line_a_task_is_read_and_sorted(tmp_path: Path) -> None:
    path = written(
        tmp_path, "arrival,run,task,queue\n5,2,resize,video\n0.5,1,mail,mails\n7,3,mail,mails\n"
    )
    trace = read_trace(path)

    assert (trace.name, trace.arrivals, trace.runs) == ("week", [0.5, 5, 7], [1, 2, 3])
    assert [trace.names[task] for task in trace.tasks] == ["mail", "resize", "mail"]
    assert (trace.span_s, trace.mean_run_s) == (7, 2)
    assert trace.of_queues(["mails"]).arrivals == [0.5, 7]


def test_a_trace_without_a_queue_column_is_for_any_queue(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "arrival,run\n1,2\n"))

    assert trace.of_queues(["video"]) is trace


def test_a_gzipped_file_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "tasks"
    path.write_bytes(gzip.compress(b"t_seconds,duration_s\n3,4\n"))

    assert read_trace(path).arrivals == [3]


def test_a_line_an_interval_is_laid_out_within_it_the_same_for_a_seed(tmp_path: Path) -> None:
    path = written(tmp_path, "t_seconds,arrivals,mean_duration_s\n0,3,2\n60,0,\n120,2,4\n")
    trace = read_trace(path, seed=3)

    assert [int(at // 60) for at in trace.arrivals] == [0, 0, 0, 2, 2]
    assert trace.arrivals == sorted(trace.arrivals)
    assert trace.span_s == 180
    assert trace == read_trace(path, seed=3)
    assert trace != read_trace(path, seed=4)


def test_a_share_of_many_tasks_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "t_seconds,arrivals\n0,100000\n60,100000\n")
    trace = read_trace(path, run_s=1, keep=0.1)

    assert len(trace) == pytest.approx(20_000, rel=0.03)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("when,run\n1,2\n", "line 1 names no column of arrivals"),
        ("arrival,run\n1,2\n1,-3\n", "line 3, run: '-3' is not a number from 0 on"),
        ("arrival,run\nsoon,2\n", "line 2, arrival: 'soon'"),
        ("arrival\n1\n", "line 2 has no run time; give the mean"),
        ("arrival,run\n1,nan\n", "line 2, run: 'nan'"),
        ("arrivals\n1\n", "no t_seconds"),
        ("arrival,run\n1790000000,1\n", "line 2, arrival: 1790000000 s is more than ten years"),
        ("t_seconds,arrivals\n0,1\n60,1\n60,1\n", "line 4: 60 does not rise from 60"),
        ("t_seconds,arrivals\n0,1e12\n", "line 2: more than 50,000,000 tasks are too many"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TraceError, match=said):
        read_trace(written(tmp_path, text))


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be read"):
        read_trace(tmp_path / "none.csv")


def test_the_suite_is_the_same_for_a_seed_and_another_for_another() -> None:
    first, again, other = (
        suite(seed=1, hours=0.1),
        suite(seed=1, hours=0.1),
        suite(seed=2, hours=0.1),
    )

    assert first == again
    assert [t.name for t in first] == [t.name for t in other]
    assert first != other
    assert all(list(t.arrivals) == sorted(t.arrivals) for t in first)


def test_arrivals_come_at_the_rate_that_was_asked_for() -> None:
    made = synthetic.diurnal(
        least=1, most=9, period_s=1000, span_s=4000, run_time=synthetic.constant(2), seed=1
    )

    assert len(made) == pytest.approx(5 * 4000, rel=0.03)
    peaks = sum(1 for at in made.arrivals if 250 <= at % 1000 < 750)
    assert peaks / len(made) > 0.7


def test_heavy_tails_have_the_mean_that_was_asked_for() -> None:
    made = synthetic.steady(
        rate=50, span_s=4000, run_time=synthetic.heavy_tailed(5, shape=2.5), seed=1
    )

    assert made.mean_run_s == pytest.approx(5, rel=0.03)
