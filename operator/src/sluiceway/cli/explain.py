"""`sluiceway explain`: why a fleet has as many workers as it has, here or in a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluiceway.cli.cluster import KINDS, ask_cluster, usual_namespace
from sluiceway.cli.output import CommandError, ExitCode, Output, to_json

if TYPE_CHECKING:
    from sluiceway.report.status import FleetStatus
    from sluiceway.report.story import FleetStory, Story


def explain(
    queue: Annotated[
        str | None,
        typer.Argument(
            help="A TaskQueue (video, or tq/video as for kubectl), or a queue that it serves. "
            "Default: all of them."
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "-n",
            "--namespace",
            help="Ask the cluster, for this namespace. Default: that of the kubeconfig's context.",
        ),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Ask this cluster. Default: KUBECONFIG, or the pod's service account, or "
            "~/.kube/config.",
        ),
    ] = None,
    changes: Annotated[int, typer.Option(min=0, help="How many of the last changes to tell.")] = 5,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="json: one object a line.")
    ] = Output.TEXT,
) -> None:
    """Say why a fleet has as many workers as it has.

    With -n or --kubeconfig it asks the cluster: sluiceway explain tq/video -n shop.
    Without them it asks the local modes of this user that are running, in whatever
    terminal, and where there is none the cluster of the kubeconfig.
    """
    from sluiceway.local.rundir import running_stories

    name = _without_kind(queue)
    chosen_cluster = namespace is not None or kubeconfig is not None
    stories = [] if chosen_cluster else running_stories()
    if stories:
        _explain_local(stories, name, changes=changes, output=output)
        return
    if namespace is None and name is not None and "/" in name:
        namespace, _, name = name.partition("/")
    try:
        where = namespace or usual_namespace(kubeconfig)
        _explain_cluster(name, where, kubeconfig, changes=changes, output=output)
    except CommandError as exc:
        if chosen_cluster or exc.code is not ExitCode.UNAVAILABLE:
            raise
        raise CommandError(
            "no local mode is running (start one with sluiceway local -f queues.yaml), and "
            f"no cluster can be asked: {exc}",
            ExitCode.UNAVAILABLE,
        ) from exc


def _without_kind(queue: str | None) -> str | None:
    """``tq/video`` as ``video``; a key, ``shop/video``, stays as it is."""
    if queue is None:
        return None
    kind, slash, name = queue.partition("/")
    return name if slash and kind in KINDS else queue


def _explain_cluster(
    name: str | None, namespace: str, kubeconfig: Path | None, *, changes: int, output: Output
) -> None:
    from sluiceway.cli import explain_cluster as from_cluster
    from sluiceway.kube.taskqueues import list_taskqueues

    found = ask_cluster(kubeconfig, lambda client: list_taskqueues(client, namespace))
    chosen = [one for one in found if name is None or from_cluster.is_meant(one, name)]
    if not chosen:
        known = ", ".join(one.metadata.name for one in found)
        there = f"there are: {known}" if known else "there is none; -n chooses another namespace"
        what = "no TaskQueue" if name is None else f"no TaskQueue is called {name} or serves it"
        raise CommandError(f"{what} in namespace {namespace}; {there}")
    for one in chosen:
        if output is Output.JSON:
            typer.echo(from_cluster.tell_json(one))
        else:
            typer.echo("\n".join([*from_cluster.tell(one, changes=changes, now=time.time()), ""]))


def _explain_local(
    stories: Sequence[Story], name: str | None, *, changes: int, output: Output
) -> None:
    fleets = [fleet for story in stories for fleet in story.fleets]
    chosen = [fleet for fleet in fleets if name is None or serves(fleet, name)]
    if not chosen:
        known = ", ".join(sorted(fleet.now.fleet for fleet in fleets)) or "none yet"
        raise CommandError(f"no TaskQueue here serves {name}; there are: {known}")
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
    for warning in status.timeout_warnings:
        yield f"  warning: {warning}"
    past = _last(fleet.changes, changes)
    if past:
        yield "  the last changes:"
        for before in past:
            asked = before.workers.asked
            yield f"    {clock_time(before.at)} {asked:>4} asked for: {before.sentence}"
    yield ""


def _last(changes: Sequence[FleetStatus], count: int) -> Sequence[FleetStatus]:
    return changes[-count:] if count else ()
