"""The live view: one table of all fleets, and the latest events below it.

Pure: from statuses and events to something that rich can draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sluiceway.report.conditions import Verdict
from sluiceway.report.events import Event, Kind
from sluiceway.report.status import DEMAND_KNOWN, READY, FleetStatus
from sluiceway.report.words import event_line, number, seconds, short, workers

EVENTS_SHOWN = 8

_TROUBLE = {Kind.FAILED, Kind.WORKER_ENDED, Kind.DEMAND_UNKNOWN, Kind.TIMEOUT_TOO_SHORT}


def draw(
    fleets: Iterable[str],
    statuses: Mapping[str, FleetStatus],
    events: Iterable[Event],
    *,
    broker: str,
    footer: str,
) -> RenderableType:
    """The whole view.

    Args:
        fleets: their keys in the order to show; one without a status is starting.
        broker: where the developer's own web app is to publish.
        footer: what can be done now.
    """
    table = Table(title=f"broker {broker}", title_justify="left", expand=True, box=None)
    for heading in ("fleet", "waiting", "oldest", "running", "scheduled", "workers"):
        table.add_column(heading, no_wrap=True, justify="left" if heading == "fleet" else "right")
    table.add_column("why", ratio=1, overflow="fold")
    for fleet in fleets:
        status = statuses.get(fleet)
        if status is None:
            table.add_row(short(fleet), *["…"] * 5, "not looked at yet")
        else:
            table.add_row(*_row(status))
    lines = [_event_line(event) for event in list(events)[-EVENTS_SHOWN:]]
    return Group(table, Text(), *lines, Text(), Text(footer, style="dim"))


def _row(status: FleetStatus) -> tuple[str | Text, ...]:
    known = status.condition(DEMAND_KNOWN)
    ready = status.condition(READY)
    why = Text(status.sentence)
    if known.status is not Verdict.TRUE:
        why = Text(known.message, style="yellow")
    elif ready.status is Verdict.FALSE and ready.reason == "WorkersFailing":
        why = Text(ready.message, style="red")
    exact = all(q.oldest_wait_is_exact for q in status.queues if q.oldest_wait_s is not None)
    oldest = seconds(status.oldest_wait_s)
    return (
        short(status.fleet),
        number(status.waiting),
        oldest if exact else f"≥{oldest}",
        number(status.in_flight),
        number(status.scheduled),
        workers(status.workers),
        why,
    )


def _event_line(event: Event) -> Text:
    style = "red" if event.kind in _TROUBLE else ""
    return Text(event_line(event), style=style, overflow="ellipsis", no_wrap=True)
