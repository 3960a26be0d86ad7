"""`sluiceway dead`: messages that were given up after too many deaths of their workers."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
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
)
from sluiceway.cli.output import CommandError, ExitCode, Output, to_json
from sluiceway.cli.picked import check_choice, picked, tell_none

if TYPE_CHECKING:
    from sluiceway.broker.connection import Broker
    from sluiceway.broker.letters import Kept


class Action(StrEnum):
    """What is to be done with dead letters."""

    LIST = "list"
    SHOW = "show"
    RELEASE = "release"
    DROP = "drop"


def dead(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: a line for each; show: how each came to be one; release: give them out "
            "again, with id and arguments; drop: forget them for good."
        ),
    ],
    tasks: Annotated[
        list[str] | None, typer.Argument(help="Ids of tasks, or how they begin. Default: all.")
    ] = None,
    taskqueue: Annotated[
        str | None,
        typer.Option("-q", "--taskqueue", help="Those of this TaskQueue: video, or shop/video."),
    ] = None,
    namespace: NamespaceOption = None,
    url: UrlOption = None,
    prefix: PrefixOption = "",
    every: Annotated[bool, typer.Option("--all", help="Release or drop all of them.")] = False,
    message: Annotated[
        bool, typer.Option("--message", help="With show: the whole message, arguments included.")
    ] = False,
    kubeconfig: KubeconfigOption = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="json: one object a line.")
    ] = Output.TEXT,
) -> None:
    """Look after messages that are not given out again: too many workers died that ran them.

    Where local mode runs, here: sluiceway dead list. In a cluster they are found by their
    TaskQueue: sluiceway dead list -q video -n shop. The broker must be reached from here;
    from outside of the cluster forward its port and give --url redis://localhost:6379/0.
    """
    chosen = tuple(tasks or ())
    if action in (Action.RELEASE, Action.DROP):
        check_choice(action.value, chosen, every=every)
    place = place_of(url, prefix, taskqueue, namespace, kubeconfig)
    asyncio.run(_run(action, chosen, place, output, with_message=message))


async def _run(
    action: Action,
    tasks: Sequence[str],
    place: BrokerPlace,
    output: Output,
    *,
    with_message: bool,
) -> None:
    from sluiceway.broker.connection import Broker
    from sluiceway.broker.errors import BrokerError
    from sluiceway.broker.letters import letters

    broker = Broker(place.address)
    changes = action in (Action.RELEASE, Action.DROP)
    try:
        found = picked(
            [kept async for kept in letters(broker, place.prefix, place.fleet)],
            tasks,
            lambda kept: kept.letter.id,
            what="dead letter",
            one_each=changes,
        )
        found.sort(key=lambda kept: kept.letter.at)
        if not found:
            tell_none("dead letter", place.sentence)
        if changes:
            await _change(broker, place.prefix, action, found)
            return
        for kept in found:
            about = _about(kept, with_message=with_message and action is Action.SHOW)
            if output is Output.JSON:
                typer.echo(to_json(about))
            else:
                typer.echo(_line(kept) if action is Action.LIST else "\n".join(_page(about)))
    except BrokerError as exc:
        raise CommandError(str(exc), ExitCode.UNAVAILABLE) from exc
    finally:
        await broker.close()


async def _change(broker: Broker, prefix: str, action: Action, found: Sequence[Kept]) -> None:
    from sluiceway.broker.letters import drop, release

    done = 0
    for kept in found:
        if action is Action.RELEASE:
            there, word = await release(broker, prefix, kept), f"released to {_list(kept)}"
        else:
            there, word = await drop(broker, kept), "dropped"
        done += there
        typer.echo(f"{kept.letter.id or kept.tag}: {word if there else 'somebody was faster'}")
    typer.echo(f"{done} {'released' if action is Action.RELEASE else 'dropped'}")


def _line(kept: Kept) -> str:
    letter = kept.letter
    last = letter.deaths[-1][1] if letter.deaths else ""
    return "  ".join(
        (
            _time(letter.at),
            letter.id or kept.tag,
            letter.task or "?",
            _list(kept),
            f"{len(letter.deaths)} deaths, the last by {last or '?'}",
        )
    )


def _about(kept: Kept, *, with_message: bool) -> dict[str, Any]:
    letter = kept.letter
    about: dict[str, Any] = {
        "id": letter.id,
        "task": letter.task,
        "taskqueue": letter.fleet,
        "list": _list(kept),
        "at": _time(letter.at),
        "bytes": len(letter.message),
        "deaths": [
            {"at": _time(at), "reason": reason, "worker": incarnation.rpartition(":")[0]}
            for at, reason, incarnation in letter.deaths
        ],
    }
    if with_message:
        about["arguments"] = _arguments(letter.message)
        about["message"] = letter.message.decode("utf-8", "backslashreplace")
    return about


def _arguments(message: bytes) -> str:
    """``["a"] {"b": 1}`` of a task in JSON; else as its publisher wrote them for people."""
    from sluiceway_worker.splice import SpliceError, read_member

    try:
        args, kwargs, *_ = json.loads(b64decode(read_member(message, "body")))
        return f"{json.dumps(args)} {json.dumps(kwargs)}"
    except (SpliceError, ValueError, TypeError):
        pass
    try:
        headers = read_member(message, "headers")
        return f"{headers['argsrepr']} {headers['kwargsrepr']}"
    except (SpliceError, KeyError, TypeError):
        return "?"


def _page(about: dict[str, Any]) -> Iterator[str]:
    for name, value in about.items():
        if name == "deaths":
            yield from (f"  died: {one['at']}  {one['worker']}  {one['reason']}" for one in value)
        elif name == "id":
            yield f"{value or '?'}"
        else:
            yield f"  {name}: {value}"


def _list(kept: Kept) -> str:
    """The name of its list; kombu's separator consists of control characters."""
    return kept.letter.source.encode("unicode_escape").decode()


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
