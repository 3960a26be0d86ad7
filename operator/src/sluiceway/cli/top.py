"""`sluiceway top`: all TaskQueues of a cluster as they are, and as they change."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sluiceway.cli.cluster import ask_cluster, usual_namespace
from sluiceway.cli.output import CommandError, Output


def top(
    namespace: Annotated[
        str | None,
        typer.Option("-n", "--namespace", help="Default: that of the kubeconfig's context."),
    ] = None,
    all_namespaces: Annotated[
        bool, typer.Option("-A", "--all-namespaces", help="Those of the whole cluster.")
    ] = False,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Default: KUBECONFIG, or the pod's service account, or ~/.kube/config.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show them once, and end.")] = False,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="json: one object a line.")
    ] = Output.TEXT,
) -> None:
    """Show the TaskQueues of a cluster live: what waits, what runs, how many workers and why.

    On a terminal it is a table until Ctrl-C; elsewhere a line for each TaskQueue, and
    again whenever it changes. Numbers are those of the TaskQueues' status, which the
    operator writes; «?» is what it does not know.
    """
    from sluiceway.cli.top_show import follow_lines, follow_table, show_lines, show_table

    if namespace is not None and all_namespaces:
        raise CommandError("-n and -A exclude each other")
    where = None if all_namespaces else namespace or usual_namespace(kubeconfig)
    as_json = output is Output.JSON
    if as_json or not sys.stdout.isatty():
        lines = show_lines if once else follow_lines
        ask_cluster(kubeconfig, partial(lines, namespace=where, as_json=as_json))
    else:
        table = show_table if once else follow_table
        ask_cluster(kubeconfig, partial(table, namespace=where))
