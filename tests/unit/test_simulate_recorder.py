"""A recorded trace has what arrived, each message once, and is one that can be played."""

from __future__ import annotations

from pathlib import Path

from sluiceway.simulate.csv_trace import read_trace
from sluiceway.simulate.recorder import HEADER, Counters, Recorder


def worker(name: str = "a:1", *, held: int = 0, processed: int = 0, run_s: float = 2.0) -> Counters:
    return Counters(
        incarnation=name,
        held=held,
        processed=processed,
        runs=processed,
        run_sum_s=processed * run_s,
    )


def arrivals(lines: list[str]) -> list[int]:
    return [int(line.split(",")[1]) for line in lines]


def recorded(*readings: tuple[int | None, list[Counters]]) -> list[str]:
    recorder = Recorder(5.0)
    lines = [line for waiting, workers in readings for line in recorder.note(waiting, workers)]
    return lines + recorder.rest()


def test_what_waits_runs_and_was_finished_is_counted_once() -> None:
    lines = recorded(
        (3, [worker()]),
        (10, [worker(held=2)]),
        (8, [worker(held=2, processed=4)]),
        (0, [worker(processed=14)]),
    )
    assert arrivals(lines) == [9, 2, 0]


def test_a_message_on_its_way_to_a_worker_has_not_come_twice() -> None:
    lines = recorded(
        (0, [worker()]),
        (1, [worker()]),
        (0, [worker()]),
        (0, [worker(held=1)]),
        (0, [worker(processed=1)]),
    )
    assert sum(arrivals(lines)) == 1


def test_a_worker_that_starts_again_begins_a_count_of_its_own() -> None:
    lines = recorded(
        (0, [worker(processed=100)]),
        (0, [worker("a:2", processed=3)]),
        (0, [worker("a:2", processed=5)]),
    )
    assert arrivals(lines) == [3, 2]


def test_arrivals_of_an_interval_that_could_not_be_read_show_in_the_next() -> None:
    lines = recorded(
        (0, [worker(processed=1)]),
        (4, [worker(processed=2)]),
        (None, []),
        (9, [worker(processed=3)]),
    )
    assert arrivals(lines) == [5, 0, 6]
    assert [line.split(",")[0] for line in lines] == ["0", "5", "10"]


def test_the_trace_can_be_played(tmp_path: Path) -> None:
    lines = recorded(
        (0, []),
        (6, []),
        (4, [worker(held=2)]),
        (0, [worker(processed=6)]),
    )
    file = tmp_path / "live.csv"
    file.write_text("\n".join([HEADER, *lines]) + "\n")
    trace = read_trace(file)
    assert len(trace) == 6
    assert trace.span_s == 15.0
    assert 0.3 < trace.mean_run_s < 6.0


def test_without_a_run_that_ended_the_arrivals_are_written_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "live.csv"
    file.write_text("\n".join([HEADER, *recorded((0, []), (7, []))]) + "\n")
    assert len(read_trace(file, run_s=1.0)) == 7
