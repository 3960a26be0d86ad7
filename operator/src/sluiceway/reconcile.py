"""gather → decide → act → report, again and again, for all fleets of a broker.

    BrokerReader ──▶ observe ──▶ decide ──▶ carry_out ──▶ Reporter
    (one round trip    (pure)     (pure)    (leases, fleet)
     for all fleets)

A tick is due every few seconds, and at once for a fleet whose queue the broker
says has changed, whose workers changed, or whose last decision named this moment.
The edges are handed in: the operator's fleets are Deployments, local mode's are
processes, and nothing here can tell them apart. One fleet's failure is told and
stays its own; a broker that is down is an observation like any other.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from sluiceway.act.carry_out import Leases, carry_out
from sluiceway.decide.attention import at_rest, could_act, may_park
from sluiceway.decide.chain import decide
from sluiceway.decide.history import History
from sluiceway.observe import Memory, Reading, RunningWorker, Watched, observe
from sluiceway.report.status import FleetStatus, status_of
from sluiceway.report.visibility import Timeouts, timeouts_of
from sluiceway.report.work import fleet_work
from sluiceway_worker.wire import PARKING_TTL_MS


class Fleet(Protocol):
    """A TaskQueue and the workers that serve it."""

    @property
    def watched(self) -> Watched:
        """Its spec as it is now, and its broker."""

    @property
    def replicas(self) -> int:
        """How many workers are asked for."""

    @property
    def rolling_out(self) -> bool:
        """Whether workers of more than one generation exist."""

    @property
    def trouble(self) -> str | None:
        """Why workers do not stay up, as a sentence."""

    @property
    def stuck(self) -> str | None:
        """Why more workers would not work either, as a sentence."""

    @property
    def marked(self) -> frozenset[str]:
        """The workers that are marked as those to go, and are still there."""

    @property
    def leaving(self) -> frozenset[str]:
        """The workers that were let go, while nobody has been told to go in answer."""

    def workers(self) -> Sequence[RunningWorker]:
        """The workers that exist."""

    async def scale(self, replicas: int, remove: tuple[str, ...]) -> None:
        """Ask for this many; the named workers are the ones to go."""


class Commands(Leases, Protocol):
    """All that is written into a fleet's broker."""

    async def stand_by(self, fleets: Collection[str]) -> None:
        """Say that these fleets will be started in time, so that their workers may park."""

    async def release(self, lists: Collection[str], until: float) -> None:
        """Bring back the parked messages of these lists that are due at ``until``."""


class Reader(Protocol):
    """Looks at brokers."""

    async def read(self, fleets: Iterable[Watched]) -> Reading:
        """Everything these fleets need to know, in one round trip; trouble is a reading too."""


class Wakes(Protocol):
    """Says when a queue has changed (observe.waking)."""

    async def arm(self, fleets: Iterable[Watched], *, acting: Container[str]) -> None:
        """Say it of the fleets in ``acting`` from now on, in place of those before."""

    def problem(self, watched: Watched) -> str | None:
        """Why it cannot say so of this fleet."""

    async def wait(self, timeout_s: float) -> frozenset[str]:
        """The keys of the fleets to look at; empty after the time."""


class Reporter(Protocol):
    """Told the outcome of every tick."""

    def add(self, status: FleetStatus) -> None:
        """A fleet was observed, decided on and acted for."""

    def failed(self, fleet: str, at: float, exc: Exception) -> None:
        """A fleet's tick ended with an error; its workers stay as they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How often a broker is looked at, seconds."""

    busy_s: float = 2.0
    """While a fleet has workers or work."""
    idle_s: float = 10.0
    """While all are at rest; the broker says when a queue changes, or those that it
    cannot say it of are looked at every second."""


_LISTEN_S = 60.0
"""How long one wait for the broker lasts before it is begun again."""

_STAND_BY_S = PARKING_TTL_MS / 3000
"""Until a broker is told again that a fleet will be started in time."""

_SHORTEST_S = 0.05
"""Between two ticks that decisions asked for: a moment named twice must not spin."""


@dataclass(slots=True)
class _Past:
    """What one tick of a fleet leaves to the next."""

    memory: Memory = field(default_factory=Memory)
    history: History = field(default_factory=History)
    leased: frozenset[str] = frozenset()
    status: FleetStatus | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    at_rest: bool = False
    acting: bool = False
    """Whether a message would be news that it could act on."""
    due: float | None = None
    """When its decision asked to be looked at again, Unix seconds."""
    stood_by_at: float = float("-inf")
    """When it was last said that it will be started in time, Unix seconds."""


class BrokerLoop:
    """The ticks of all fleets on one broker."""

    def __init__(
        self,
        *,
        reader: Reader,
        leases: Callable[[Watched], Commands],
        wakes: Wakes,
        report: Reporter,
        clock: Callable[[], float],
        pace: Pace,
        ticked: Callable[[float], None] = lambda _: None,
    ) -> None:
        """No fleets yet.

        Args:
            clock: the time of day, Unix seconds.
            ticked: told after every tick how long it took, seconds.
        """
        self._reader = reader
        self._leases = leases
        self._wakes = wakes
        self._report = report
        self._clock = clock
        self._pace = pace
        self._ticked = ticked
        self._fleets: dict[str, Fleet] = {}
        self._pasts: dict[str, _Past] = {}
        self._touched: set[str] = set()
        self._something = asyncio.Event()

    def put(self, fleet: Fleet) -> None:
        """Take a fleet in, or its new spec, and look at it at once."""
        self._fleets[fleet.watched.key] = fleet
        self._pasts.setdefault(fleet.watched.key, _Past())
        self.touch(fleet.watched.key)

    def drop(self, key: str) -> None:
        """Leave a fleet alone from now on."""
        self._fleets.pop(key, None)
        self._pasts.pop(key, None)
        self._touched.discard(key)

    def touch(self, key: str) -> None:
        """Something about this fleet changed: look at it at once."""
        if key in self._fleets:
            self._touched.add(key)
            self._something.set()

    async def run(self) -> None:
        """Tick until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._tick_on())

    async def _listen(self) -> None:
        while True:
            for key in await self._wakes.wait(_LISTEN_S):
                self.touch(key)

    async def _tick_on(self) -> None:
        monotonic = asyncio.get_running_loop().time
        looked_at_all = float("-inf")
        while True:
            began = monotonic()
            if began >= looked_at_all + self._pause_s():
                looked_at_all = began
                await self.tick(list(self._fleets))
            else:
                await self.tick(self._touched | self._called_for())
            self._ticked(monotonic() - began)
            # The pause is asked for anew: a fleet that was woken is at rest no more.
            all_due_in = looked_at_all + self._pause_s() - monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(min(all_due_in, self._until_called_for_s()), 0.0)):
                    await self._something.wait()

    async def tick(self, keys: Iterable[str]) -> None:
        """Look at these fleets in one round trip, decide, act and report for each."""
        fleets = [self._fleets[key] for key in keys if key in self._fleets]
        pasts = [self._pasts[fleet.watched.key] for fleet in fleets]
        self._touched.difference_update(fleet.watched.key for fleet in fleets)
        if not self._touched:
            self._something.clear()
        for past in pasts:
            past.due = None
        try:
            reading = await self._reader.read([fleet.watched for fleet in fleets])
        except Exception as exc:  # a defect: a broker's trouble comes as a reading
            for fleet in fleets:
                self._report.failed(fleet.watched.key, self._clock(), exc)
            return
        await asyncio.gather(
            *(
                self._guarded(fleet, past, reading)
                for fleet, past in zip(fleets, pasts, strict=True)
            )
        )
        await self._tidy(fleets, reading)
        await self._wakes.arm(
            [fleet.watched for fleet in self._fleets.values()],
            acting={key for key, past in self._pasts.items() if past.acting},
        )

    async def _guarded(self, fleet: Fleet, past: _Past, reading: Reading) -> None:
        """One fleet's error is told, and stays its own."""
        now = self._clock()
        try:
            await self._reconcile(fleet, past, reading, now)
        except Exception as exc:
            self._report.failed(fleet.watched.key, now, exc)

    async def _tidy(self, fleets: Sequence[Fleet], reading: Reading) -> None:
        """What is one for a key prefix, however many fleets share it: the list of workers,
        and what is parked."""
        groups: defaultdict[str, list[Fleet]] = defaultdict(list)
        for fleet in fleets:
            groups[fleet.watched.prefix].append(fleet)
        for alike in groups.values():
            watched, now = alike[0].watched, self._clock()
            commands = self._leases(watched)
            try:
                if due := reading.due(watched, now):
                    await commands.release(due, reading.at(watched, now))
                await self._stand_by(alike, reading, commands, now)
                if gone := reading.gone(watched):
                    await commands.forget(gone)
            except Exception as exc:
                self._report.failed(watched.key, now, exc)

    async def _stand_by(
        self, fleets: Sequence[Fleet], reading: Reading, commands: Commands, now: float
    ) -> None:
        """Their workers may park what is far ahead: whoever ticks them starts them in time."""
        pasts = {
            fleet.watched.key: self._pasts[fleet.watched.key]
            for fleet in fleets
            if may_park(fleet.watched.taskqueue.spec)
            and reading.of(fleet.watched).problem is None
            and (fleet.replicas or fleet.workers())
            and fleet.watched.key in self._pasts
        }
        told = [key for key, past in pasts.items() if now >= past.stood_by_at + _STAND_BY_S]
        if told:
            await commands.stand_by(told)
            for key in told:
                pasts[key].stood_by_at = now

    async def _reconcile(self, fleet: Fleet, past: _Past, reading: Reading, now: float) -> None:
        watched = fleet.watched
        observation, past.memory = observe(
            reading,
            watched,
            workers=fleet.workers(),
            replicas=fleet.replicas,
            now=now,
            memory=past.memory,
            rolling_out=fleet.rolling_out,
            stuck=fleet.stuck,
        )
        decision = decide(watched.taskqueue.spec, observation, past.history, now)
        past.history = decision.history
        past.due = decision.wake_at
        past.at_rest = at_rest(observation, decision)
        past.acting = could_act(watched.taskqueue.spec, observation, decision)
        try:
            before, past.leased = past.leased, past.leased | frozenset(decision.drain)
            past.leased = await carry_out(
                decision,
                observation,
                fleet=fleet,
                leases=self._leases(watched),
                leased=before,
            )
        finally:
            # What was seen and decided is news also where it could not be carried out.
            past.timeouts = timeouts_of(
                watched.key,
                watched.prefix,
                past.memory.latest,
                reading.heard(watched),
                past.timeouts,
                at=now,
            )
            longest_task_s = watched.taskqueue.spec.worker.longest_task
            past.status = status_of(
                watched.key,
                observation,
                decision,
                asked=fleet.replicas,
                not_waking=self._wakes.problem(watched),
                trouble=fleet.trouble,
                before=past.status,
                work=fleet_work(past.memory.latest, observation),
                target_wait_s=watched.taskqueue.spec.scaling.target.max_wait,
                longest_task_s=longest_task_s,
                timeout_warnings=past.timeouts.warnings(longest_task_s),
            )
            self._report.add(past.status)

    def _pause_s(self) -> float:
        """Until all fleets are looked at again, whatever happens."""
        at_rest = all(past.at_rest for past in self._pasts.values())
        return self._pace.idle_s if at_rest else self._pace.busy_s

    def _called_for(self) -> set[str]:
        now = self._clock()
        return {
            key for key, past in self._pasts.items() if past.due is not None and past.due <= now
        }

    def _until_called_for_s(self) -> float:
        now = self._clock()
        waits = (past.due - now for past in self._pasts.values() if past.due is not None)
        return max(min(waits, default=float("inf")), _SHORTEST_S)
