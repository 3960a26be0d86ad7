"""What `sluiceway top` shows: a table that fits the terminal, or a line for each TaskQueue.

Pure: from what the cluster shows to something that rich can draw.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sluiceway.kube.taskqueues import Status, TaskQueueSeen
from sluiceway.report.resource_conditions import BROKER_MISMATCH, SCALING_ACTIVE, STALLED
from sluiceway.report.status import READY
from sluiceway.report.words import number, the_others

NOT_LOOKED_AT = "not looked at yet; is an operator running?"

NARROW = 110
"""Columns of a terminal below which only what matters most has a place."""

_AROUND = 5
"""Lines of the view that are no TaskQueue: title, headings, how many more, a gap, the last."""

_TROUBLE_SHARE = 3
"""At most a third of the terminal tells what is wrong."""


def draw(
    taskqueues: Collection[TaskQueueSeen],
    *,
    title: str,
    with_namespace: bool,
    width: int,
    height: int | None,
    last: Text,
) -> RenderableType:
    """The whole view.

    Args:
        with_namespace: whether they are of several namespaces.
        width: columns of the terminal.
        height: lines of the terminal; where they do not suffice, those stay that are in
            trouble or at work. None: as many as are needed.
        last: the last line.
    """
    room = None if height is None else height // _TROUBLE_SHARE
    trouble = _trouble(taskqueues, width, room)
    rows = len(taskqueues)
    if height is not None:
        rows = min(rows, max(1, height - _AROUND - len(trouble)))
    shown = most_telling(taskqueues, rows)
    more = len(taskqueues) - len(shown)
    lines = [Text(f"… and {more} more, with less to do", style="dim")] if more else []
    last.no_wrap, last.overflow = True, "ellipsis"
    table = _table(shown, title=title, with_namespace=with_namespace, narrow=width < NARROW)
    return Group(table, *lines, Text(), *trouble, last)


def _table(
    shown: Iterable[TaskQueueSeen], *, title: str, with_namespace: bool, narrow: bool
) -> Table:
    table = Table(title=title, title_justify="left", expand=True, box=None)
    for heading in ("namespace", "taskqueue") if with_namespace else ("taskqueue",):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    numbers = ("waiting", "oldest", "running", "workers")
    for heading in numbers if narrow else (*numbers[:3], "scheduled", "workers"):
        table.add_column(heading, no_wrap=True, justify="right")
    table.add_column("why", ratio=1, no_wrap=True, overflow="ellipsis")
    for one in shown:
        status = one.status
        who = (one.metadata.namespace, one.metadata.name)
        table.add_row(
            *(who if with_namespace else who[1:]),
            number(status.waiting),
            status.oldest_task_age,
            number(status.in_flight),
            *([] if narrow else [number(status.scheduled)]),
            _of_desired(status) if narrow else workers(status),
            Text(*why(one)),
        )
    return table


def _trouble(taskqueues: Iterable[TaskQueueSeen], width: int, room: int | None) -> list[Text]:
    """The whole sentences of those that are in trouble, the worst first, and a gap.

    Args:
        room: lines that there are for them; None: as many as are needed.
    """
    told: list[Text] = []
    for wanted in ("red", "yellow"):
        for one in sorted(taskqueues, key=lambda one: one.metadata.key):
            sentence, style = why(one)
            if style != wanted:
                continue
            whole = f"{one.metadata.key}: {sentence}"
            lines = textwrap.wrap(whole, max(width, 20), subsequent_indent="  ")
            if room is None or len(told) + len(lines) < room:
                told += [Text(part, style=style) for part in lines]
    return [*told, Text()] if told else []


def line(one: TaskQueueSeen) -> str:
    """A TaskQueue in one line, for where there is no terminal."""
    status = one.status
    oldest = f", oldest {status.oldest_task_age}" if status.oldest_task_age else ""
    return (
        f"{one.metadata.key}: {number(status.waiting)} waiting{oldest}, "
        f"{number(status.in_flight)} running, {number(status.scheduled)} scheduled, "
        f"workers {workers(status)}; {why(one)[0]}"
    )


def workers(status: Status) -> str:
    """«3/5»: how many consume, of how many the fleet should have, and what the others do."""
    return _of_desired(status) + the_others(
        status.starting_replicas, status.draining_replicas, status.silent_replicas
    )


def _of_desired(status: Status) -> str:
    return f"{number(status.ready_replicas)}/{number(status.desired_replicas)}"


def why(one: TaskQueueSeen) -> tuple[str, str]:
    """The sentence that matters most now, and the colour it has."""
    status = one.status
    if not status.observed_generation:
        return NOT_LOOKED_AT, "dim"
    for type_, bad, style in (
        (STALLED, "True", "red"),
        (READY, "False", "red"),
        (BROKER_MISMATCH, "True", "yellow"),
        (SCALING_ACTIVE, "False", "yellow"),
    ):
        condition = status.condition(type_)
        if condition is not None and condition.status == bad:
            return condition.message, style
    return status.message or NOT_LOOKED_AT, ""


def most_telling(taskqueues: Iterable[TaskQueueSeen], count: int) -> list[TaskQueueSeen]:
    """So many of them, in the order of their keys: first who is in trouble, then who works."""

    def weight(one: TaskQueueSeen) -> tuple[bool, bool, int, str]:
        style = why(one)[1]
        busy = (one.status.waiting or 0) + (one.status.in_flight or 0)
        return style != "red", style != "yellow", -busy, one.metadata.key

    chosen = sorted(taskqueues, key=weight)[:count]
    return sorted(chosen, key=lambda one: one.metadata.key)
