"""`sluiceway record`: a trace of a live broker, for `sluiceway simulate`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from sluiceway.cli.broker_place import (
    BrokerPlace,
    KubeconfigOption,
    NamespaceOption,
    PrefixOption,
    UrlOption,
    place_of,
)
from sluiceway.cli.output import CommandError, ExitCode, complain

if TYPE_CHECKING:
    from sluiceway.broker.reading import BrokerReading
    from sluiceway.observe import Watched
    from sluiceway.simulate.recorder import Counters, Recorder

_TELLS_EVERY = 12
"""Readings between two lines on stderr."""


def record(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The CSV file to write, line by line.")
    ],
    taskqueue: Annotated[
        str | None,
        typer.Option("-q", "--taskqueue", help="Of this TaskQueue: video, or shop/video."),
    ] = None,
    namespace: NamespaceOption = None,
    url: UrlOption = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            help="With --url: the queues. May be repeated. Default: that called as -q, or celery."
        ),
    ] = None,
    prefix: PrefixOption = "",
    lasts: Annotated[
        str | None, typer.Option("--for", help="Stop after this long. Default: until Ctrl-C.")
    ] = None,
    every: Annotated[str, typer.Option(help="One line for each interval of this length.")] = "5s",
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Write down what arrives and how long tasks run, for sluiceway simulate to play.

    sluiceway record -q video -n shop -o week.csv, or with --url redis://localhost:6379/0
    --queue video. It asks what the operator asks, queue lengths and heartbeats, reads no
    message, and changes nothing. Run times are told by workers with the agent.
    """
    every_s = _seconds("--every", every)
    until_s = None if lasts is None else _seconds("--for", lasts)
    place = place_of(url, prefix, taskqueue, namespace, kubeconfig)
    watched, problem = _watched(place, queue), None
    try:
        # What an earlier run wrote stays until this one has something in its place.
        with output.open("a", encoding="utf-8") as file:
            problem = asyncio.run(_run(watched, place.fleet, file, every_s, until_s))
    except KeyboardInterrupt:
        complain(f"stopped; {output} can be played with sluiceway simulate --trace {output}")
    except OSError as exc:
        raise CommandError(
            f"{output}: cannot be written: {exc.strerror}", ExitCode.UNAVAILABLE
        ) from exc
    if problem is not None:
        raise CommandError(f"nothing was recorded: {problem}", ExitCode.UNAVAILABLE)


async def _run(
    watched: Watched, fleet: str | None, file: TextIO, every_s: float, until_s: float | None
) -> str | None:
    """What stood in the way of every single reading; None where one succeeded."""
    from sluiceway.broker.connection import Brokers
    from sluiceway.observe import BrokerReader
    from sluiceway.simulate.recorder import HEADER, Recorder

    recorder, brokers = Recorder(every_s), Brokers()
    reader = BrokerReader(brokers)
    began, readings, succeeded, problem = time.monotonic(), 0, False, None
    lines = [HEADER]
    try:
        while until_s is None or readings * every_s <= until_s:
            reading = (await reader.read([watched])).of(watched)
            problem = reading.problem
            lines += recorder.note(_waiting(reading, watched), _counters(reading, fleet))
            if problem is None and not succeeded:
                if file.seekable():  # a pipe has nothing to be taken away
                    file.truncate(0)
                succeeded = True
            if succeeded:
                _write(file, lines)
                lines = []
            if readings % _TELLS_EVERY == 0:
                complain(_told(recorder, reading))
            readings += 1
            await asyncio.sleep(max(0.0, began + readings * every_s - time.monotonic()))
    finally:
        # Also where it is cancelled: what was held back is a trace all the same.
        if succeeded:
            _write(file, recorder.rest())
        await brokers.close()
    return None if succeeded else problem


def _write(file: TextIO, lines: list[str]) -> None:
    for line in lines:
        file.write(line + "\n")
    file.flush()


def _waiting(reading: BrokerReading, watched: Watched) -> int | None:
    if reading.problem is not None:
        return None
    facts = [reading.queues.get(queue) for queue in watched.broker_queues]
    lengths = [None if one is None else one.length for one in facts]
    known = [length for length in lengths if length is not None]
    return sum(known) if len(known) == len(lengths) else None


def _counters(reading: BrokerReading, fleet: str | None) -> Iterator[Counters]:
    from sluiceway.simulate.recorder import Counters

    for facts in reading.workers.values():
        for one in facts.heard:
            beat = one.heartbeat
            if fleet is not None and beat.fleet not in ("", fleet):
                continue
            yield Counters(
                incarnation=beat.incarnation,
                held=beat.active + beat.reserved,
                processed=beat.processed,
                runs=sum(times.count for times in beat.tasks.values()),
                run_sum_s=sum(times.sum_s for times in beat.tasks.values()),
            )


def _told(recorder: Recorder, reading: BrokerReading) -> str:
    from sluiceway.decide.sentences import count, seconds

    if reading.problem is not None:
        return f"nothing is known for now: {reading.problem}"
    mean_s = recorder.mean_run_s
    each = "no run has ended yet" if mean_s is None else f"{seconds(mean_s)} each on average"
    return f"{count(recorder.arrivals, 'task')} so far, {each}"


def _watched(place: BrokerPlace, queues: list[str] | None) -> Watched:
    from sluiceway.api.taskqueue import TaskQueue
    from sluiceway.observe import Watched

    namespace, _, name = (place.fleet or "default/celery").partition("/")
    broker: dict[str, object] = {"key_prefix": place.prefix}
    names = queues or [name]
    if place.queues:
        names = [one.name for one in place.queues]
        broker |= {
            "priority_steps": place.queues[0].steps,
            "separator": place.queues[0].separator,
        }
    taskqueue = TaskQueue.model_validate(
        {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"queues": names, "broker": broker},
        }
    )
    return Watched(taskqueue=taskqueue, address=place.address)


def _seconds(option: str, text: str) -> float:
    from sluiceway.api.duration import parse_duration

    try:
        found = parse_duration(text)
    except ValueError as exc:
        raise CommandError(f"{option}: {exc}") from exc
    if found <= 0:
        raise CommandError(f"{option}: {text} is no time at all; write such as 5s")
    return found
