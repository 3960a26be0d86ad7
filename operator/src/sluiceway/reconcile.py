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
from dataclasses import dataclass, field, replace
from typing import Protocol
from zlib import crc32

from sluiceway.act.carry_out import Leases, carry_out
from sluiceway.decide.attention import at_rest, could_act, may_park
from sluiceway.decide.chain import decide
from sluiceway.decide.history import History
from sluiceway.decide.observation import Observation
from sluiceway.observe import Memory, Reading, RunningWorker, Watched, observe, shows_nothing
from sluiceway.report.status import FleetStatus, status_of
from sluiceway.report.visibility import Neighbours, Timeouts, timeouts_of
from sluiceway.report.work import fleet_work
from sluiceway.rounds import Pace, Rounds
from sluiceway_worker.wire import PARKING_TTL_MS

__all__ = ["BrokerLoop", "Commands", "Fleet", "Pace", "Reader", "Reporter", "Wakes"]


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
        """Say it of those of these fleets that are in ``acting`` from now on, and of the
        others not; of all that are not named here nothing changes."""

    def drop(self, key: str) -> None:
        """Say it no more of this fleet."""

    def problem(self, watched: Watched) -> str | None:
        """Why it cannot say so of this fleet."""

    async def wait(self, timeout_s: float) -> frozenset[str]:
        """The keys of the fleets to look at; empty after the time."""


class Reporter(Protocol):
    """Told the outcome of every tick."""

    def add(self, status: FleetStatus) -> None:
        """A fleet was observed, decided on and acted for."""

    def still(self, fleet: str, at: float) -> None:
        """A fleet at rest was looked at, and all is as its last status says."""

    def failed(self, fleet: str, at: float, exc: Exception) -> None:
        """A fleet's tick ended with an error; its workers stay as they are."""


_LISTEN_S = 60.0
"""How long one wait for the broker lasts before it is begun again."""

_STAND_BY_S = PARKING_TTL_MS / 3000
"""Until a broker is told again that a fleet will be started in time."""

_SLICE = 100
"""Fleets between which the event loop is given to others: a Lease must be renewed."""

_TICK_S = 5.0
"""What a tick does not come to in this time is left to the next, which follows at once: a
lease that asks a worker to drain lasts three times as long, and those come first."""

_SET_BACK_S = 5.0
"""By so much at least the time of day must go back to be taken for set back."""

_STILL_S = 300.0
"""After so long, at most, a fleet is decided on anew though nothing about it has changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Still:
    """What a fleet at rest was decided on; as long as this holds, so does the decision."""

    observation: Observation
    trouble: str | None
    not_waking: str | None
    until: float
    """Unix seconds."""


@dataclass(slots=True)
class _Past:
    """What one tick of a fleet leaves to the next."""

    memory: Memory = field(default_factory=Memory)
    history: History = field(default_factory=History)
    leased: frozenset[str] = frozenset()
    status: FleetStatus | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    acting: bool = False
    """Whether a message would be news that it could act on."""
    still: _Still | None = None
    still_at: float | None = None
    """When it was last seen to be still, Unix seconds."""
    stood_by_at: float = float("-inf")
    """When it was last said that it will be started in time, Unix seconds."""
    decided_at: float = float("-inf")
    """Unix seconds."""


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
        self._rounds = Rounds(pace)
        self._ticked = ticked
        self._fleets: dict[str, Fleet] = {}
        self._pasts: dict[str, _Past] = {}
        self._neighbours: defaultdict[str, Neighbours] = defaultdict(Neighbours)
        """By key prefix."""
        self._something = asyncio.Event()

    def put(self, fleet: Fleet) -> None:
        """Take a fleet in, or its new spec, and look at it at once."""
        key = fleet.watched.key
        self._fleets[key] = fleet
        self._pasts.setdefault(key, _Past())
        self._rounds.put(key)
        self._something.set()

    def drop(self, key: str) -> None:
        """Leave a fleet alone from now on."""
        self._fleets.pop(key, None)
        self._pasts.pop(key, None)
        self._rounds.drop(key)
        self._wakes.drop(key)

    def touch(self, key: str) -> None:
        """Something about this fleet changed: look at it at once."""
        if self._rounds.touch(key):
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
        while True:
            self._something.clear()
            began = monotonic()
            keys, routine = self._rounds.take(began, self._clock())
            if keys:
                await self.tick(keys, routine=routine)
                self._rounds.took(began, monotonic())
            self._ticked(monotonic() - began)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rounds.wait_s(monotonic(), self._clock())):
                    await self._something.wait()
            await asyncio.sleep(max(0.0, began + self._pace.together_s - monotonic()))

    async def tick(self, keys: Iterable[str], *, routine: Container[str] = ()) -> None:
        """Look at these fleets in one round trip, decide, act and report for each.

        Args:
            routine: those of which nothing says that they changed.
        """
        fleets = [self._fleets[key] for key in keys if key in self._fleets]
        try:
            await self._look(fleets, routine)
        except Exception as exc:  # a defect: a broker's trouble comes as a reading
            for fleet in fleets:
                self._report.failed(fleet.watched.key, self._clock(), exc)

    async def _look(self, fleets: Sequence[Fleet], routine: Container[str]) -> None:
        reading = await self._reader.read([fleet.watched for fleet in fleets])
        for watched in {fleet.watched.prefix: fleet.watched for fleet in fleets}.values():
            self._neighbours[watched.prefix].hear(reading.heard(watched), self._clock())
        anew = await self._but_the_still(fleets, reading, routine)
        looked_at = await self._in_slices(anew, reading)
        await self._tidy(fleets, looked_at, reading)
        await self._wakes.arm(
            (fleet.watched for fleet in looked_at),
            acting={key for fleet in looked_at if self._acts(key := fleet.watched.key)},
        )

    async def _but_the_still(
        self, fleets: Sequence[Fleet], reading: Reading, routine: Container[str]
    ) -> list[Fleet]:
        """Those about which something may have changed; of the others it is told that nothing
        has."""
        anew = []
        for number, fleet in enumerate(fleets):
            key, now = fleet.watched.key, self._clock()
            past = self._pasts.get(key)
            if past is None:
                continue
            if key in routine and self._is_still(fleet, past, reading, now):
                past.still_at = now
                self._report.still(key, now)
            else:
                anew.append(fleet)
            if number % (10 * _SLICE) == 0:
                await asyncio.sleep(0)
        # Who holds leases must renew them in time.
        return sorted(anew, key=lambda fleet: not self._has_leases(fleet))

    def _has_leases(self, fleet: Fleet) -> bool:
        past = self._pasts.get(fleet.watched.key)
        return past is not None and bool(past.leased)

    def _acts(self, key: str) -> bool:
        past = self._pasts.get(key)
        return past is not None and past.acting

    def _is_still(self, fleet: Fleet, past: _Past, reading: Reading, now: float) -> bool:
        still = past.still
        return (
            still is not None
            and now < still.until
            and fleet.replicas == 0
            and fleet.trouble == still.trouble
            and self._wakes.problem(fleet.watched) == still.not_waking
            and shows_nothing(reading, fleet.watched)
        )

    async def _in_slices(self, fleets: Sequence[Fleet], reading: Reading) -> list[Fleet]:
        """Those that were come to; the others are for the next tick."""
        monotonic = asyncio.get_running_loop().time
        until = monotonic() + _TICK_S
        for start in range(0, len(fleets), _SLICE):
            if monotonic() > until:
                for fleet in fleets[start:]:
                    self.touch(fleet.watched.key)
                return list(fleets[:start])
            some = [
                (fleet, past)
                for fleet in fleets[start : start + _SLICE]
                if (past := self._pasts.get(fleet.watched.key)) is not None
            ]
            await asyncio.gather(*(self._guarded(fleet, past, reading) for fleet, past in some))
        return list(fleets)

    async def _guarded(self, fleet: Fleet, past: _Past, reading: Reading) -> None:
        """One fleet's error is told, and stays its own."""
        now = self._clock()
        try:
            await self._reconcile(fleet, past, reading, now)
        except Exception as exc:
            self._report.failed(fleet.watched.key, now, exc)

    async def _tidy(
        self, fleets: Sequence[Fleet], looked_at: Sequence[Fleet], reading: Reading
    ) -> None:
        """What is one for a key prefix, however many fleets share it: the list of workers,
        and what is parked."""
        one_of = {fleet.watched.prefix: fleet.watched for fleet in fleets}
        groups: defaultdict[str, list[Fleet]] = defaultdict(list)
        for fleet in looked_at:
            groups[fleet.watched.prefix].append(fleet)
        for prefix, watched in one_of.items():
            commands, now = self._leases(watched), self._clock()
            try:
                if due := reading.due(watched, now):
                    await commands.release(due, reading.at(watched, now))
                await self._stand_by(groups[prefix], reading, commands, now)
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
        if now < past.decided_at - _SET_BACK_S:
            # What lies in the future would be waited for until then: it begins anew, as after
            # a change of leaders.
            past.history, past.still, past.stood_by_at = History(), None, float("-inf")
        past.decided_at = now
        self._catch_up(past, watched)
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
        rests = at_rest(observation, decision)
        self._rounds.decided(watched.key, at_rest=rests, call_at=decision.wake_at)
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
                watched.prefix,
                past.memory.latest,
                self._neighbours[watched.prefix].shortest_but(watched.key),
                past.timeouts,
            )
            longest_task_s = watched.taskqueue.spec.worker.longest_task
            not_waking, trouble = self._wakes.problem(watched), fleet.trouble
            before_status = past.status
            past.status = status_of(
                watched.key,
                observation,
                decision,
                asked=fleet.replicas,
                not_waking=not_waking,
                trouble=trouble,
                before=before_status,
                work=fleet_work(past.memory.latest, observation),
                target_wait_s=watched.taskqueue.spec.scaling.target.max_wait,
                longest_task_s=longest_task_s,
                timeout_warnings=past.timeouts.warnings(longest_task_s),
            )
            self._report.add(past.status)
        if rests and decision.wake_at is None and _says_the_same(before_status, past.status):
            # Not all at the same moment.
            lasts_s = _STILL_S * (0.5 + crc32(watched.key.encode()) / 2**33)
            past.still = _Still(
                observation=observation,
                trouble=trouble,
                not_waking=not_waking,
                until=now + lasts_s,
            )

    def _catch_up(self, past: _Past, watched: Watched) -> None:
        """Learn from the looks that found a fleet still: the last of them stands for all."""
        still, at = past.still, past.still_at
        past.still = past.still_at = None
        if still is not None and at is not None:
            observation = replace(still.observation, at=at)
            decision = decide(watched.taskqueue.spec, observation, past.history, at)
            past.history = decision.history


def _says_the_same(before: FleetStatus | None, now: FleetStatus) -> bool:
    """Whether nothing but the time moves."""
    return before is not None and not now.arrival_rate_per_s and replace(before, at=now.at) == now
