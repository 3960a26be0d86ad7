"""`sluiceway local`: options, files and messages of a local run."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluiceway.cli.output import CommandError, ExitCode, Output, complain, make_folder

if TYPE_CHECKING:
    from sluiceway.api.taskqueue import TaskQueue
    from sluiceway.local.show import Show


def local(
    file: Annotated[
        list[Path],
        typer.Option("-f", "--file", help="A file with TaskQueues; may be given several times."),
    ],
    broker: Annotated[
        str | None,
        typer.Option(help="Put this broker URL in place of what the TaskQueues say."),
    ] = None,
    embedded: Annotated[
        bool,
        typer.Option("--embedded", help="Start an own server even where they name a broker."),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of the own server. Default: a free one."),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(help="The Python that has the application. Default: the one that runs this."),
    ] = None,
    workdir: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder in which the application is found. Default: this one.",
        ),
    ] = None,
    log_dir: Annotated[
        Path | None,
        typer.Option(help="Keep what the workers write here. Default: only while it runs."),
    ] = None,
    logs: Annotated[
        bool, typer.Option("--logs", help="Also show every line that the workers write.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Plain lines in place of the live table.")
    ] = False,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="json: one object a line.")
    ] = Output.TEXT,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help="Run the tasks here, one at a time, so that a breakpoint in a task is hit.",
        ),
    ] = False,
) -> None:
    """Run the workers of TaskQueues on this machine.

    Workers are processes that come and go as their queues need them. Without a
    broker (--broker, or spec.broker in the files) a Redis-compatible server is
    started; its address is shown for your web app, and its messages end with it.
    Ctrl-C lets every worker finish what it runs and leaves nothing behind; a second
    Ctrl-C cuts it.
    """
    from sluiceway.broker.address import AddressError
    from sluiceway.local.debug import SeveralError
    from sluiceway.local.debug import debug as run_debug
    from sluiceway.local.foreground import run_in_foreground
    from sluiceway.local.left import sentence
    from sluiceway.local.mode import LocalMode, Settings
    from sluiceway.local.rundir import NoRunFolderError
    from sluiceway.local.server import NoServerError

    if broker is not None and embedded:
        raise CommandError("--broker and --embedded exclude each other")
    if python is not None and shutil.which(python) is None:
        raise CommandError(f"--python: there is no program {python}")
    taskqueues = read_taskqueues(file)
    if log_dir is not None:
        make_folder("--log-dir", log_dir)
    settings = Settings(
        broker_url=broker,
        embedded=embedded,
        port=port,
        python=python,
        workdir=workdir,
        log_dir=log_dir.absolute() if log_dir is not None else None,
    )
    try:
        if debug:
            raise typer.Exit(asyncio.run(run_debug(taskqueues, settings)))
        run = LocalMode(taskqueues, settings)
        show = _show(output, plain=plain, logs=logs)
        warm = asyncio.run(run_in_foreground(run, show))
    except (AddressError, SeveralError) as exc:
        raise CommandError(str(exc)) from exc
    except (NoServerError, NoRunFolderError) as exc:
        raise CommandError(str(exc), ExitCode.UNAVAILABLE) from exc
    if run.left:
        complain(sentence(run.left))
    if not warm:
        raise typer.Exit(130)


def read_taskqueues(files: Iterable[Path]) -> list[TaskQueue]:
    """The TaskQueues of these files that can run here; what cannot is said and left out.

    Raises:
        CommandError: a file cannot be read, an object is invalid, a name stands twice,
            or there is nothing to run.
    """
    from sluiceway.api.load import InvalidError, UnreadableError, load
    from sluiceway.api.taskqueue import TaskQueue

    found: dict[str, TaskQueue] = {}
    for path in files:
        try:
            objects = load(path)
        except (UnreadableError, InvalidError) as exc:
            raise CommandError(str(exc)) from exc
        for taskqueue in objects:
            if not isinstance(taskqueue, TaskQueue):
                continue  # a WorkerClass describes nodes, and here there is one machine
            if taskqueue.key in found:
                raise CommandError(f"{path}: TaskQueue {taskqueue.key} stands twice")
            if taskqueue.spec.worker.app is None:
                complain(
                    f"{path}: TaskQueue {taskqueue.key} is left out: it scales a Deployment, "
                    "and here there is none; write one with worker.app to run it here"
                )
                continue
            found[taskqueue.key] = taskqueue
    if not found:
        raise CommandError(f"no TaskQueue to run in {', '.join(map(str, files))}")
    return list(found.values())


def _show(output: Output, *, plain: bool, logs: bool) -> Show:
    from rich.console import Console

    from sluiceway.local.show import show_json, show_lines, show_table

    # A program that reads us is to have each line when it is written.
    echo = partial(print, flush=True)
    if output is Output.JSON:
        return partial(show_json, echo=echo)
    if plain or not sys.stdout.isatty():
        return partial(show_lines, echo=echo, logs=logs)
    return partial(show_table, console=Console(), logs=logs)
