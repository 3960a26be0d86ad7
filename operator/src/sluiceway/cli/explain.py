"""`sluiceway explain`: why a fleet has as many workers as it has."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sluiceway.cli.output import CommandError, ExitCode, Output, to_json

if TYPE_CHECKING:
    from sluiceway.report.status import FleetStatus
    from sluiceway.report.story import FleetStory


def explain(
    queue: Annotated[
        str | None,
        typer.Argument(help="A TaskQueue, or a queue that it serves. Default: all of them."),
    ] = None,
    changes: Annotated[int, typer.Option(min=0, help="How many of the last changes to tell.")] = 5,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="json: one object a line.")
    ] = Output.TEXT,
) -> None:
    """Say why a fleet has as many workers as it has.

    It asks the local modes of this user that are running, in whatever terminal.
    """
    from sluiceway.local.rundir import running_stories

    stories = running_stories()
    if not stories:
        raise CommandError(
            "no local mode is running: start one with sluiceway local -f queues.yaml",
            ExitCode.UNAVAILABLE,
        )
    fleets = [fleet for story in stories for fleet in story.fleets]
    chosen = [fleet for fleet in fleets if queue is None or serves(fleet, queue)]
    if not chosen:
        known = ", ".join(sorted(fleet.now.fleet for fleet in fleets)) or "none yet"
        raise CommandError(f"no TaskQueue here serves {queue}; there are: {known}")
    for fleet in chosen:
        if output is Output.JSON:
            typer.echo(to_json(fleet))
        else:
            typer.echo("\n".join(tell(fleet, changes=changes, now=time.time())))


def serves(fleet: FleetStory, queue: str) -> bool:
    """Whether this is the fleet that is meant: by its key, its name, or a queue of it."""
    key = fleet.now.fleet
    names = {key, key.partition("/")[2], *(q.name for q in fleet.now.queues)}
    return queue in names


def tell(fleet: FleetStory, *, changes: int, now: float) -> Iterator[str]:
    """The lines about one fleet: the number, the chain to it, what does not hold, the past."""
    from sluiceway.report.conditions import Verdict
    from sluiceway.report.words import clock_time, seconds, short, workers

    status = fleet.now
    yield f"{short(status.fleet)}: {status.sentence}"
    yield f"  workers {workers(status.workers)}; looked at {seconds(now - status.at)} ago"
    for step in status.steps:
        number = "?" if step.replicas is None else str(step.replicas)
        yield f"  {step.name:>14} {number:>4}  {step.sentence}"
    for condition in status.conditions:
        if condition.status is not Verdict.TRUE:
            since = seconds(now - condition.since)
            yield f"  {condition.type} is {condition.status} for {since}: {condition.message}"
    past = _last(fleet.changes, changes)
    if past:
        yield "  the last changes:"
        for before in past:
            asked = before.workers.asked
            yield f"    {clock_time(before.at)} {asked:>4} asked for: {before.sentence}"
    yield ""


def _last(changes: Sequence[FleetStatus], count: int) -> Sequence[FleetStatus]:
    return changes[-count:] if count else ()
