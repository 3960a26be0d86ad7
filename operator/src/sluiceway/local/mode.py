"""Local mode: the same TaskQueues on one machine, worker processes in place of pods.

    async with LocalMode(taskqueues) as local:
        publish_to(local.broker_url)
        await local.journal.until(lambda now: now["default/exports"].workers.ready > 0)

Inside the block workers come and go as reconcile decides; ``journal`` tells what
was seen and decided, ``worker_seconds`` what it cost. At the end of the block
every worker drains, and nothing is left behind; should this process be ended by
force meanwhile, the guard does the same in its place.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from sluiceway.act.leases import BrokerLeases
from sluiceway.act.recoveries import Recoveries, charge_of
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.address import AddressError, BrokerAddress, parse_address
from sluiceway.broker.connection import Brokers
from sluiceway.broker.holders import Cause, End
from sluiceway.local.brokers import EMBEDDED, choose_brokers, openly
from sluiceway.local.fleet import UP_AFTER_S, Exit, ProcessFleet
from sluiceway.local.launch import launch_of, link_agent
from sluiceway.local.left import left_in, unpark_all
from sluiceway.local.notes import Notes
from sluiceway.local.processes import Guard
from sluiceway.local.rundir import RunFolder
from sluiceway.local.server import EmbeddedServer
from sluiceway.observe import BrokerReader, Watched
from sluiceway.observe.waking import Waking
from sluiceway.reconcile import BrokerLoop, Pace
from sluiceway.report.deaths import event_of_letters, events_of
from sluiceway.report.events import Event, Kind
from sluiceway.report.journal import Journal
from sluiceway.report.status import FleetStatus
from sluiceway.report.story import FleetStory, Story
from sluiceway_worker.recovery import Recovered

_TELL_EVERY_S = 0.5
"""At most this often the story for `sluiceway explain` is written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a local run is set up; every default suits a first try."""

    broker_url: str | None = None
    """Put in place of every TaskQueue's own address."""
    embedded: bool = False
    """Bring a server along even where the TaskQueues name one."""
    port: int | None = None
    """The embedded server's; None takes a free one."""
    python: str | None = None
    """The interpreter that has the application; None means the one that runs this."""
    workdir: Path | None = None
    """Where workers start, so that ``-A app`` is found; None means here."""
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    """What workers inherit."""
    log_dir: Path | None = None
    """Where the workers' output is kept; None: in the run's folder, and gone with it."""
    pace: Pace = field(default_factory=Pace)
    up_after_s: float = UP_AFTER_S
    """A worker that has stayed up so long and is not heard, may be on another broker."""
    runtime: Path | None = None
    """The folder in which running local modes are found; None: this user's own."""


class LocalMode:
    """A run of local mode, from entering the block until it is left."""

    def __init__(self, taskqueues: Sequence[TaskQueue], settings: Settings | None = None) -> None:
        """Nothing is started before the block is entered.

        Raises:
            AddressError: a broker URL cannot be used.
        """
        self._taskqueues = tuple(taskqueues)
        self._settings = settings or Settings()
        self._brokers_of = choose_brokers(
            self._taskqueues,
            env=self._settings.env,
            given=self._settings.broker_url,
            embedded=self._settings.embedded,
        )
        for url in self._brokers_of.values():
            if url is not None:
                parse_address(url)
        self.journal = Journal()
        """What was seen and decided, and what happened."""
        self.broker_url = ""
        """Where to publish: the broker of the first TaskQueue."""
        self.logs = Path()
        """The folder of the workers' output: one file for each."""
        self.fleets: dict[str, ProcessFleet] = {}
        """By ``namespace/name``."""
        self.left: int | None = None
        """How many messages its own server had when it ended; None: not known, or it has none."""
        self._loops: dict[BrokerAddress, BrokerLoop] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._failures: dict[str, str] = {}
        self._recoveries = Recoveries(self)
        self._notes: Notes | None = None
        self._embeds = EMBEDDED in self._brokers_of.values()
        self._own: BrokerAddress | None = None
        self._brokers: Brokers | None = None
        self._stopping = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start what is needed: the guard, a server where none was given, and the ticks.

        Raises:
            NoServerError: an embedded server is needed and cannot be had.
            NoRunFolderError: this user has no folder for what runs.
        """
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drain all workers, wait for them, and end everything that was started."""
        await self.stop()

    async def stop(self) -> None:
        """Warm shutdown: no more ticks; every worker finishes what it runs and goes."""
        await self._end_ticks()
        await asyncio.gather(*(fleet.stop() for fleet in self.fleets.values()))
        # What was cut short is there at once for whoever comes next.
        await self._recoveries.look()
        self._write_notes()
        for key in self.fleets:
            self._recoveries.drop(key)
        brokers, self._brokers = self._brokers, None
        if brokers is not None:
            # Nobody starts these fleets in time from now on.
            watched = [fleet.watched for fleet in self.fleets.values()]
            await unpark_all(brokers, watched)
            if self._own is not None:
                there = [one for one in watched if one.address == self._own]
                self.left = await left_in(brokers.get(self._own), there)
        await self._stack.aclose()

    async def stop_cold(self) -> None:
        """Cold shutdown, also while a warm one is under way: running tasks are cut."""
        await self._end_ticks()
        await asyncio.gather(*(fleet.stop_cold() for fleet in self.fleets.values()))

    @property
    def embeds(self) -> bool:
        """Whether it brings a server along, so that others must be told its address."""
        return self._embeds

    @property
    def stopping(self) -> bool:
        """Whether it has been told to stop; some workers may still finish what they run."""
        return self._stopping

    def running(self) -> int:
        """How many worker processes exist at the moment."""
        return sum(len(fleet.running) for fleet in self.fleets.values())

    def worker_seconds(self, fleet: str | None = None) -> float:
        """How long workers have existed so far, summed; of one fleet or of all."""
        fleets = self.fleets.values() if fleet is None else [self.fleets[fleet]]
        return sum(one.worker_seconds() for one in fleets)

    async def _start(self) -> None:
        settings = self._settings
        run = RunFolder.create(settings.runtime)
        self._stack.callback(run.close)
        guard = Guard()
        self._stack.push_async_callback(asyncio.to_thread, guard.close)
        guard.folder(run.path)
        self._notes = Notes(run.path.parent / "workers")
        self.logs = settings.log_dir or run.path / "logs"
        if self._embeds:
            server = await EmbeddedServer.start(run.path, guard, settings.port)
            self._stack.push_async_callback(server.stop)
            self._own = parse_address(server.url)
            self._brokers_of = {key: url or server.url for key, url in self._brokers_of.items()}

        brokers = self._brokers = Brokers()
        self._stack.push_async_callback(brokers.close)
        agent_path = None if settings.python is None else link_agent(run.path)
        for taskqueue in self._taskqueues:
            url = self._brokers_of[taskqueue.key] or ""
            watched = Watched.of(taskqueue, url)
            loop = self._loop_for(watched, brokers)
            self.broker_url = self.broker_url or url
            fleet = ProcessFleet(
                watched,
                launch_of(
                    taskqueue,
                    broker_url=url,
                    env=settings.env,
                    python=settings.python or sys.executable,
                    workdir=settings.workdir,
                    agent_path=agent_path,
                ),
                guard=guard,
                logs=self.logs,
                clock=time.time,
                changed=partial(self._changed, loop, taskqueue.key),
                on_exit=partial(self._worker_ended, taskqueue.key),
                keep_logs=settings.log_dir is not None,
                up_after_s=settings.up_after_s,
            )
            self.fleets[taskqueue.key] = fleet
            loop.put(fleet)
            assert watched.address is not None, "checked when this run was made"
            broker = brokers.get(watched.address)
            self._recoveries.put(charge_of(taskqueue, broker, partial(self._ends, fleet)))
        self._tasks = [asyncio.create_task(loop.run()) for loop in self._loops.values()]
        self._tasks.append(asyncio.create_task(self._tell(run)))
        self._tasks.append(asyncio.create_task(self._recoveries.run()))

    def _loop_for(self, watched: Watched, brokers: Brokers) -> BrokerLoop:
        """The loop of this broker, made for the first of its fleets."""
        address = watched.address
        assert address is not None, "checked when this run was made"
        if address not in self._loops:
            waking = Waking()
            self._stack.push_async_callback(waking.close)
            self._loops[address] = BrokerLoop(
                reader=BrokerReader(brokers),
                leases=lambda fleet: BrokerLeases(
                    broker=brokers.get(address), prefix=fleet.prefix, asker=_ASKER
                ),
                wakes=waking,
                report=self,
                clock=time.time,
                pace=self._settings.pace,
            )
        return self._loops[address]

    def add(self, status: FleetStatus) -> None:
        """A fleet was observed, decided on and acted for (reconcile.Reporter)."""
        self.journal.add(status)

    def still(self, fleet: str, at: float) -> None:
        """A fleet at rest is as it was (reconcile.Reporter)."""
        self.journal.add(replace(self.journal.statuses[fleet], at=at))

    def failed(self, fleet: str, at: float, exc: Exception) -> None:
        """A fleet's tick ended with an error (reconcile.Reporter)."""
        sentence = str(exc) or type(exc).__name__
        if self._failures.get(fleet) != sentence:  # the same one again is no news
            self._failures[fleet] = sentence
            self.journal.tell(Event(at=at, fleet=fleet, kind=Kind.FAILED, sentence=sentence))

    def recovered(self, fleet: str, cause: Cause, recovered: Recovered) -> None:
        """What a dead worker held has come back (act.recoveries.Told)."""
        for event in events_of(fleet, cause, recovered):
            self.journal.tell(event)

    def dead_letters(self, fleet: str, count: int, untold: int) -> None:
        """So many dead letters it has now (act.recoveries.Told); `sluiceway dead` lists them."""
        if untold:
            self.journal.tell(event_of_letters(fleet, untold, time.time()))

    def _ends(self, fleet: ProcessFleet) -> tuple[End, ...]:
        """The workers of this run, and of others before it, of which no process is left."""
        return (*fleet.ends(), *(self._notes.ends() if self._notes else ()))

    def _write_notes(self) -> None:
        """Should this process be killed, the next one is told of all that may hold something."""
        if self._notes is not None:
            for key, fleet in self.fleets.items():
                self._notes.keep({worker.name: worker.child.pid for worker in fleet.running})
                self._notes.forget(end.worker for end in self._recoveries.looked_into(key))

    def _changed(self, loop: BrokerLoop, fleet: str) -> None:
        self._write_notes()
        loop.touch(fleet)
        self._recoveries.touch(fleet)

    def _worker_ended(self, fleet: str, exit_: Exit) -> None:
        self.journal.tell(
            Event(
                at=time.time(),
                fleet=fleet,
                kind=Kind.WORKER_ENDED,
                sentence=exit_.sentence,
                details=exit_.last_lines,
            )
        )

    async def _tell(self, run: RunFolder) -> None:
        """Keep what `sluiceway explain` reads up to date."""
        while True:
            with suppress(OSError):  # a full disk is no reason to stop serving tasks
                run.write_story(self.story())
            await asyncio.sleep(_TELL_EVERY_S)

    def story(self) -> Story:
        """Every fleet's status and last changes, at this moment."""
        return Story(
            pid=os.getpid(),
            broker=str(parse_address(self.broker_url)),
            fleets=tuple(
                FleetStory(
                    now=status,
                    changes=self.journal.changes(fleet),
                    broker=openly(self.fleets[fleet].watched.address),
                    prefix=self.fleets[fleet].watched.prefix,
                )
                for fleet, status in self.journal.statuses.items()
            ),
        )

    async def _end_ticks(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        # A defect of ours must not keep workers from being drained; it is told all the same.
        for exc in ended:
            if isinstance(exc, Exception):
                for fleet in self.fleets:
                    self.failed(fleet, time.time(), exc)


_ASKER = f"sluiceway local, process {os.getpid()} on {socket.gethostname()}"
"""Who holds the drain leases, for whoever looks at the keys."""

__all__ = ["AddressError", "LocalMode", "Pace", "Settings"]
