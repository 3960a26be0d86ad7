"""What a local run shows: a live table, plain lines, or lines of JSON.

Each is a coroutine that shows until it is cancelled.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sluiceway.broker.address import parse_address
from sluiceway.local.mode import LocalMode
from sluiceway.local.table import draw
from sluiceway.report.words import event_line

Show = Callable[[LocalMode], Coroutine[Any, Any, None]]
Echo = Callable[[str], None]

_REFRESH_S = 0.25
_FOLLOW_EVERY_S = 0.25


async def show_table(local: LocalMode, *, console: Console, logs: bool) -> None:
    """A table that is drawn anew in place; the workers' lines scroll by above it."""
    with Live(console=console, auto_refresh=False, transient=False) as live:
        async with asyncio.TaskGroup() as tasks:
            if logs:
                tasks.create_task(follow_logs(local, lambda line: console.print(Text(line))))
            while True:
                live.update(
                    draw(
                        local.fleets,
                        local.journal.statuses,
                        local.journal.events,
                        broker=f"{parse_address(local.broker_url)}{_where_to_publish(local)}",
                        footer=_footer(local),
                    ),
                    refresh=True,
                )
                await asyncio.sleep(_REFRESH_S)


async def show_lines(local: LocalMode, *, echo: Echo, logs: bool) -> None:
    """One line for everything that changes."""
    echo(f"broker {parse_address(local.broker_url)}{_where_to_publish(local)}")
    echo(f"what the workers write: {local.logs}")
    async with asyncio.TaskGroup() as tasks:
        if logs:
            tasks.create_task(follow_logs(local, echo))
        tasks.create_task(_tell_of_stop(local, echo))
        async for event in local.journal.follow():
            echo(event_line(event))
            for line in event.details:
                echo(f"    | {line}")


async def show_json(local: LocalMode, *, echo: Echo) -> None:
    """One JSON object a line: first the run, then every event."""
    # A broker that was given is known to whoever gave it, and its password is not to be told on.
    broker = local.broker_url if local.embeds else str(parse_address(local.broker_url))
    echo(json.dumps({"broker": broker, "logs": str(local.logs)}))
    async for event in local.journal.follow():
        echo(
            json.dumps(
                {
                    "at": event.at,
                    "fleet": event.fleet,
                    "event": event.kind,
                    "sentence": event.sentence,
                    "details": event.details,
                },
                ensure_ascii=False,
            )
        )


async def follow_logs(local: LocalMode, echo: Echo) -> None:
    """Every line that a worker writes, behind the worker's name."""
    read: dict[Path, int] = {}
    while True:
        for log in sorted(local.logs.glob("*.log")):
            with suppress(OSError):
                with log.open("rb") as file:
                    file.seek(read.get(log, 0))
                    whole, newline, _ = file.read().rpartition(b"\n")
                read[log] = read.get(log, 0) + len(whole) + len(newline)
                for line in whole.decode(errors="replace").splitlines():
                    echo(f"{log.stem} | {line}")
        await asyncio.sleep(_FOLLOW_EVERY_S)


async def _tell_of_stop(local: LocalMode, echo: Echo) -> None:
    """Whoever pressed Ctrl-C is told what it waits for, where there is something."""
    while not local.stopping:  # noqa: ASYNC110 as the table, it looks as often as it shows
        await asyncio.sleep(_FOLLOW_EVERY_S)
    if local.running():
        echo(_footer(local))


def _where_to_publish(local: LocalMode) -> str:
    """How a web app finds a server that was brought along; its own broker it knows."""
    if not local.embeds:
        return ""
    return f"; your web app finds it with: export CELERY_BROKER_URL={local.broker_url}"


def _footer(local: LocalMode) -> str:
    if local.stopping:
        count = local.running()
        who = "1 worker finishes its task" if count == 1 else f"{count} workers finish their tasks"
        return f"stopping: {who}; a second Ctrl-C cuts them"
    return f"what the workers write: {local.logs}    Ctrl-C drains and stops"
