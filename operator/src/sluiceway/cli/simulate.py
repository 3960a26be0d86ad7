"""`sluiceway simulate`: what a TaskQueue would have done on a trace, and what it would cost."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluiceway.cli.output import CommandError, ExitCode, Output, complain, make_folder, to_json

if TYPE_CHECKING:
    from rich.console import Console

    from sluiceway.api.taskqueue import TaskQueue
    from sluiceway.simulate.compare import Case, Comparison
    from sluiceway.simulate.trace import Trace

_WIDTH = 130
"""Of the table, where there is no terminal that has a width of its own."""

_MOST_TICKS = 200_000
"""Where a trace would take more ticks than these, they are made longer unless given."""


def simulate(
    file: Annotated[
        Path | None,
        typer.Option("-f", "--file", help="The TaskQueues. Default: one with a maxWait of 30s."),
    ] = None,
    trace: Annotated[
        list[Path] | None,
        typer.Option(
            "--trace",
            help="CSV with a header, .gz too: arrival,run,task,queue in seconds (task and queue "
            "where wanted), or t_seconds,arrivals,mean_duration_s for each interval. May be "
            "repeated.",
        ),
    ] = None,
    suite: Annotated[
        bool, typer.Option("--suite", help="Play the synthetic traces, eight kinds of arrivals.")
    ] = False,
    seed: Annotated[int, typer.Option(help="For all that is drawn: the same seed, same run.")] = 1,
    run_time: Annotated[
        str | None,
        typer.Option(help="Mean run time where the trace tells none, such as 2s."),
    ] = None,
    keep: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Keep this share of the trace's tasks.")
    ] = 1.0,
    cold_start: Annotated[
        str, typer.Option(help="From asking for a worker until it takes tasks.")
    ] = "5s",
    slots: Annotated[
        int | None,
        typer.Option(min=1, help="Tasks a worker runs at once. Default: worker.concurrency, or 1."),
    ] = None,
    prefetch: Annotated[
        int,
        typer.Option(min=1, help="Messages that a worker takes for each slot, running ones too."),
    ] = 1,
    start: Annotated[
        str,
        typer.Option(help="When the trace begins, for schedules: an ISO time, UTC unless given."),
    ] = "2026-01-05T00:00",
    tick: Annotated[
        str | None,
        typer.Option(
            help="Between two ticks of a busy fleet. Default: 2s as in the operator, and longer "
            f"where that would be more than {_MOST_TICKS:,} ticks."
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Leave out the best KEDA setting and the best fixed fleet: many runs."
        ),
    ] = False,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune", help="Propose fields for the TaskQueue, with the reason; many runs."
        ),
    ] = False,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir", "-d", help="Write a page and a picture of each trace into this folder."
        ),
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="json: one object a trace.")
    ] = Output.TEXT,
) -> None:
    """Play a trace of tasks under the rule that the operator uses, beside others.

    Says for each policy how many tasks started within the target, how long they waited,
    and how many worker-hours that took. Nothing is started and no broker is asked:
    sluiceway simulate -f queue.yaml --trace week.csv, or sluiceway simulate --suite.
    """
    from rich.console import Console

    from sluiceway.simulate.compare import compare
    from sluiceway.simulate.table import as_data, headline, notes, table

    if not suite and not trace:
        raise CommandError(
            "say what to play: --trace tasks.csv (may be repeated), or --suite for made-up ones"
        )
    if tune and output_dir is not None:
        raise CommandError("--output-dir has no page of --tune: leave one of the two out")
    if output_dir is not None:
        make_folder("--output-dir", output_dir)
    traces = [_read(path, run_time, keep, seed) for path in trace or ()]
    if suite:
        from sluiceway.simulate.suite import suite as made

        traces += made(seed=seed)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    played = 0
    for case, title in _cases(traces, file, cold_start, slots, prefetch, start, tick):
        played += 1
        if tune:
            _tune(case, title, console, output)
            continue
        comparison = compare(case, search=not quick)
        if output is Output.JSON:
            typer.echo(to_json({"taskqueue": title, **as_data(comparison)}))
        else:
            what = f"{title}, {headline(comparison)}" if title else headline(comparison)
            console.print(what, markup=False, soft_wrap=True)
            console.print(table(comparison))
            for line in (*notes(comparison), *_coarse(case, tick)):
                console.print(f"  {line}", style="dim", markup=False, soft_wrap=True)
            console.print()
        if output_dir is not None:
            _write(comparison, output_dir, title, quiet=output is Output.JSON)
    if not played:
        raise CommandError("no trace has a task for any of these TaskQueues", ExitCode.PROBLEMS)


def _read(path: Path, run_time: str | None, keep: float, seed: int) -> Trace:
    from sluiceway.simulate.csv_trace import read_trace
    from sluiceway.simulate.trace import TraceError

    run_s = None if run_time is None else _seconds("--run-time", run_time)
    try:
        return read_trace(path, run_s=run_s, keep=keep, seed=seed)
    except TraceError as exc:
        raise CommandError(str(exc)) from exc


def _cases(
    traces: list[Trace],
    file: Path | None,
    cold_start: str,
    slots: int | None,
    prefetch: int,
    start: str,
    tick: str | None,
) -> Iterator[tuple[Case, str]]:
    from sluiceway.simulate.compare import Case
    from sluiceway.simulate.ours import BUSY_TICK_S
    from sluiceway.simulate.world import Plant

    taskqueues = _taskqueues(file)
    cold_start_s = _seconds("--cold-start", cold_start)
    for trace in traces:
        for taskqueue in taskqueues:
            spec = taskqueue.spec
            # Where no TaskQueue is given, the one that is made up serves whatever there is.
            chosen = trace if file is None else trace.of_queues(taskqueue.queues)
            if not len(chosen):
                complain(
                    f"{trace.name} has no task for {', '.join(taskqueue.queues)}: "
                    f"TaskQueue {taskqueue.key} is left out"
                )
                continue
            busy_s = chosen.span_s / _MOST_TICKS
            yield (
                Case(
                    trace=chosen,
                    spec=spec,
                    plant=Plant(
                        slots=slots or spec.worker.concurrency or 1,
                        cold_start_s=cold_start_s,
                        prefetch=prefetch,
                        grace_s=spec.worker.grace_s,
                        redelivery_s=spec.broker.visibility_timeout or 3600.0,
                    ),
                    begins_at=_moment(start),
                    tick_s=max(BUSY_TICK_S, math.ceil(busy_s))
                    if tick is None
                    else _seconds("--tick", tick, above_zero=True),
                ),
                "" if file is None else taskqueue.key,
            )


def _taskqueues(file: Path | None) -> list[TaskQueue]:
    from sluiceway.api.load import InvalidError, UnreadableError, load
    from sluiceway.api.taskqueue import ObjectMeta, TaskQueue, TaskQueueSpec

    if file is None:
        spec = TaskQueueSpec.model_validate({"queues": ["queue"], "scaling": {"maxReplicas": 1000}})
        return [TaskQueue(kind="TaskQueue", metadata=ObjectMeta(name="queue"), spec=spec)]
    try:
        found = [one for one in load(file) if isinstance(one, TaskQueue)]
    except (UnreadableError, InvalidError) as exc:
        raise CommandError(str(exc)) from exc
    if not found:
        raise CommandError(f"{file}: there is no TaskQueue in it")
    return found


def _coarse(case: Case, tick: str | None) -> list[str]:
    from sluiceway.simulate.ours import BUSY_TICK_S

    if tick is not None or case.tick_s <= BUSY_TICK_S:
        return []
    return [
        f"played with a tick every {case.tick_s:.0f} s, not every {BUSY_TICK_S:.0f} s as in the "
        f"operator, because the trace is so long; --tick {BUSY_TICK_S:.0f}s plays it all"
    ]


def _tune(case: Case, title: str, console: Console, output: Output) -> None:
    from dataclasses import asdict

    from sluiceway.simulate.table import tuned_table
    from sluiceway.simulate.tune import as_yaml, tune

    tuned = tune(case)
    if output is Output.JSON:
        made = {
            "taskqueue": title,
            "trace": case.trace.name,
            "proposals": [asdict(one) for one in tuned.proposals],
            "before": asdict(tuned.before),
            "after": asdict(tuned.after),
            "others": {name: asdict(figures) for name, figures in tuned.others},
        }
        typer.echo(to_json(made))
        return
    what = ", ".join(filter(None, (title, case.trace.name)))
    console.print(f"# {what}: to be put below spec", markup=False, soft_wrap=True)
    console.print(as_yaml(tuned), markup=False, soft_wrap=True)
    console.print()
    rows = [("as it is", tuned.before), ("as proposed", tuned.after), *tuned.others]
    console.print(tuned_table(rows))
    console.print()


def _write(comparison: Comparison, folder: Path, title: str, *, quiet: bool) -> None:
    from sluiceway.simulate.curves import curves
    from sluiceway.simulate.page import page
    from sluiceway.simulate.picture import draw

    drawn = curves(comparison)
    name = re.sub(r"[^\w.-]+", "-", "-".join(filter(None, (title, comparison.case.trace.name))))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [folder / f"{name}.html"]
        written[0].write_text(page(comparison, drawn), encoding="utf-8")
        try:
            draw(comparison, drawn, folder / f"{name}.png")
            written.append(folder / f"{name}.png")
        except ImportError:
            complain("no picture: matplotlib is missing (pip install 'sluiceway[demo]')")
    except OSError as exc:
        raise CommandError(
            f"{folder}: cannot be written: {exc.strerror}", ExitCode.UNAVAILABLE
        ) from exc
    if not quiet:
        typer.echo("  " + "  ".join(map(str, written)) + "\n")


def _seconds(option: str, text: str, *, above_zero: bool = False) -> float:
    from sluiceway.api.duration import parse_duration

    try:
        found = parse_duration(text)
    except ValueError as exc:
        raise CommandError(f"{option}: {exc}") from exc
    if above_zero and not found:
        raise CommandError(f"{option}: {text} is no time at all; write such as 2s")
    return found


def _moment(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        raise CommandError(
            f"--start: {text!r} is not an ISO time; write such as 2026-01-05T00:00"
        ) from exc
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
