"""`sluiceway eta`: messages with a far ETA that were moved aside until then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluiceway.cli.broker_place import (
    BrokerPlace,
    KubeconfigOption,
    NamespaceOption,
    PrefixOption,
    UrlOption,
    place_of,
    without_kind,
)
from sluiceway.cli.output import CommandError, ExitCode, Output, to_json
from sluiceway.cli.picked import check_choice, picked, tell_none

if TYPE_CHECKING:
    from sluiceway.broker.connection import Broker
    from sluiceway.broker.parked import ParkedMessage


class Action(StrEnum):
    """What is to be done with parked messages."""

    LIST = "list"
    RELEASE = "release"
    DROP = "drop"


def eta(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: a line for each, the first to come due first; release: give them back "
            "to their queues now, with their ETA; drop: forget them for good."
        ),
    ],
    tasks: Annotated[
        list[str] | None, typer.Argument(help="Ids of tasks, or how they begin. Default: all.")
    ] = None,
    taskqueue: Annotated[
        str | None,
        typer.Option(
            "-q",
            "--taskqueue",
            help="Those of this TaskQueue: video, or shop/video. With --url: of this queue.",
        ),
    ] = None,
    namespace: NamespaceOption = None,
    url: UrlOption = None,
    prefix: PrefixOption = "",
    every: Annotated[bool, typer.Option("--all", help="Release, or drop, all of them.")] = False,
    kubeconfig: KubeconfigOption = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="json: one object a line.")
    ] = Output.TEXT,
) -> None:
    """Look after messages with a far ETA that no worker holds, so that fleets can rest.

    They come back by themselves shortly before they are due. Release them before Sluiceway
    leaves a broker for good; while an operator stands by, a worker that takes one parks it
    again. Drop what is not wanted any more: a revoke is heard only by workers that live.
    Where local mode runs, here: sluiceway eta list. In a cluster they are found by their
    TaskQueue: sluiceway eta list -q video -n shop. The broker must be reached from here;
    from outside of the cluster forward its port and give --url redis://localhost:6379/0.
    """
    chosen = tuple(tasks or ())
    if action is not Action.LIST:
        check_choice(action.value, chosen, every=every)
    queue = None
    if url is not None and taskqueue is not None:
        # In a broker alone nobody can tell a TaskQueue's queues: it is that of this name.
        queue, taskqueue = without_kind(taskqueue).rpartition("/")[2], None
    place = place_of(url, prefix, taskqueue, namespace, kubeconfig)
    names = place.queue_names if queue is None else (queue,)
    asyncio.run(_run(action, chosen, place, names, output))


async def _run(
    action: Action,
    tasks: Sequence[str],
    place: BrokerPlace,
    names: Sequence[str] | None,
    output: Output,
) -> None:
    from sluiceway.broker.connection import Broker
    from sluiceway.broker.errors import BrokerError
    from sluiceway.broker.parked import lists_of, parked_messages

    lists = None if place.queues is None else lists_of(place.queues)
    broker = Broker(place.address)
    try:
        found = [
            {**_about(one), "parked": one}
            for one in await parked_messages(broker, prefix=place.prefix, lists=lists)
            if names is None or _queue(one) in names
        ]
        changes = action is not Action.LIST
        found = picked(
            found, tasks, lambda one: str(one["id"]), what="parked message", one_each=changes
        )
        if not found:
            tell_none("parked message", _where(place, names))
        if changes:
            parked = [one["parked"] for one in found]
            await (_release if action is Action.RELEASE else _drop)(broker, place, parked)
            return
        for one in found:
            one.pop("parked")
            typer.echo(to_json(one) if output is Output.JSON else "  ".join(map(str, _line(one))))
    except BrokerError as exc:
        raise CommandError(str(exc), ExitCode.UNAVAILABLE) from exc
    finally:
        await broker.close()


async def _release(broker: Broker, place: BrokerPlace, found: Sequence[ParkedMessage]) -> None:
    from sluiceway.broker.parked import release_one, stand_by_no_more

    if place.fleet is not None:
        await stand_by_no_more(broker, prefix=place.prefix, fleet=place.fleet)
    # The one that is due last goes first: the earliest ends up foremost.
    done = 0
    for one in reversed(found):
        done += await release_one(broker, prefix=place.prefix, parked=one)
    typer.echo(f"{done} released")


async def _drop(broker: Broker, place: BrokerPlace, found: Sequence[ParkedMessage]) -> None:
    from sluiceway.broker.parked import drop_one

    done = 0
    for one in found:
        done += await drop_one(broker, prefix=place.prefix, parked=one)
    typer.echo(f"{done} dropped")


def _where(place: BrokerPlace, names: Sequence[str] | None) -> str:
    if place.fleet is not None or names is None:
        return place.sentence
    return f"{place.sentence}, of queue {', '.join(names)}"


def _line(about: dict[str, Any]) -> Iterable[Any]:
    return about["eta"], about["id"] or "?", about["task"] or "?", about["list"]


def _about(parked: ParkedMessage) -> dict[str, Any]:
    from sluiceway_worker.splice import SpliceError, read_member

    try:
        headers = read_member(parked.message, "headers")
    except SpliceError:
        headers = None
    told = headers if isinstance(headers, dict) else {}
    return {
        "eta": datetime.fromtimestamp(parked.eta, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "id": told.get("id") or "",
        "task": told.get("task") or "",
        # kombu's separator of priorities consists of control characters.
        "list": parked.list.encode("unicode_escape").decode(),
        "bytes": len(parked.message),
    }


def _queue(parked: ParkedMessage) -> str:
    from sluiceway_worker.wire import PRIORITY_SEP

    return parked.list.partition(PRIORITY_SEP)[0]
