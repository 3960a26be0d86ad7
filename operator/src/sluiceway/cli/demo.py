"""`sluiceway demo`: the options of the show, and how it ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluiceway.cli.output import CommandError, ExitCode, Output, complain, make_folder, to_json

if TYPE_CHECKING:
    from sluiceway.demo.figures import Figures

_LINE_WIDTH = 110
"""Where there is no terminal that has a width of its own."""


def demo(
    clicks: Annotated[
        int, typer.Option(min=1, max=1000, help="How many people click on «Export».")
    ] = 40,
    duration: Annotated[
        float,
        typer.Option(
            min=2,
            max=600,
            help="Seconds for which the exports of one act keep this whole machine busy; the "
            "size of an export is found from it.",
        ),
    ] = 20.0,
    export_cost: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Seconds for which one export keeps one core busy, in place of that."
        ),
    ] = None,
    max_workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="maxReplicas of the exports fleet. Default: one per core, at least 4, at most 10.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="When people click: the same seed, same moments.")] = 1,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-d", help="Where the report is written.")
    ] = Path("demo-report"),
    output: Annotated[
        Output, typer.Option("--output", "-o", help="json: the figures on standard output.")
    ] = Output.TEXT,
) -> None:
    """Show the meltdown of a web site and its cure, on real processes.

    A web app with ten request workers makes exports inside its requests, and its
    light page stands still. Then Celery workers make the same exports, as many as
    Sluiceway finds right. Takes one to two minutes, needs nothing that is running,
    and leaves nothing running. Exit code 1 when a task was lost.
    """
    try:
        from rich.console import Console

        from sluiceway.demo.screen import Screen
        from sluiceway.demo.shop import ShopError
        from sluiceway.demo.sizes import Sizes, default_max_workers
        from sluiceway.demo.story import play
        from sluiceway.demo.telling import Teller
        from sluiceway.demo.with_sluiceway import WorkersError
        from sluiceway.local.server import NoServerError
    except ImportError as exc:
        raise CommandError(
            f"the demo's parts are not installed ({exc.name}): pip install 'sluiceway[demo]'",
            ExitCode.UNAVAILABLE,
        ) from exc

    sizes = Sizes(
        clicks=clicks,
        duration_s=duration,
        export_cost_s=export_cost,
        max_workers=max_workers or default_max_workers(),
        seed=seed,
    )
    is_new = not output_dir.exists()
    make_folder("--output-dir", output_dir)
    if is_new:
        output_dir.rmdir()  # A show that is stopped leaves nothing behind.
    # Standard output is for the figures alone where a program reads it.
    console = Console(highlight=False, stderr=output is Output.JSON)
    if not console.is_terminal:
        console.width = _LINE_WIDTH
    try:
        figures = asyncio.run(_stopped_by_signals(play(sizes, Teller(Screen(console)), output_dir)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        complain("stopped before the end; nothing is left running")
        raise typer.Exit(130) from None
    except (NoServerError, ShopError, WorkersError, OSError) as exc:
        raise CommandError(str(exc), ExitCode.UNAVAILABLE) from exc
    if output is Output.JSON:
        typer.echo(to_json(asdict(figures)))
    if figures.all_tasks.lost:
        raise typer.Exit(ExitCode.PROBLEMS)


async def _stopped_by_signals(show: Coroutine[Any, Any, Figures]) -> Figures:
    """A polite stop or a closed terminal ends the show in order, as Ctrl-C does by itself."""
    running = asyncio.current_task()
    assert running is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    return await show
