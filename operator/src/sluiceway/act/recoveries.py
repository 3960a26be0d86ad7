"""What dead workers held comes back: at once on a proof, else after very long silence.

    End (kubelet's word, wait()) ──▶ touch ──▶ read_holders ──▶ recovery ──▶ told
                                      every ten seconds ──┘

The proof is kept by whoever heard it, the holders stand in the broker; from the two a
recovery can be made again at any time, also by the next leader. Nothing here waits for
ticks or decisions, and nothing of theirs waits for this.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from sluiceway.act.silence import LAST_HEARD_S, Silence
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.connection import Broker
from sluiceway.broker.errors import BrokerError
from sluiceway.broker.holders import (
    Cause,
    End,
    Holders,
    carry_out,
    death_of,
    ended,
    read_holders,
)
from sluiceway_worker.fate import Death
from sluiceway_worker.recovery import Place, Recovered, RecoveryError, recovery
from sluiceway_worker.tidying import tidying

log = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
"""How often holders are looked at though nobody is known to have ended."""

DEFAULT_VISIBILITY_TIMEOUT_S = 3600.0
"""kombu's own."""

TIDY_EVERY_S = 600.0
"""How often what is left of workers is tidied away whom nobody looks after."""

COUNT_EVERY_S = 60.0
"""How often dead letters are counted of fleets that had no news: each is a command."""

AGAIN_S = 1.0
"""Until a look that failed, or found the last heartbeat of a dead worker, is tried again."""


@dataclass(frozen=True, kw_only=True)
class Charge:
    """A fleet whose dead are looked after."""

    key: str
    """``namespace/name``."""
    broker: Broker
    prefix: str
    max_deliveries: int
    silent_after_s: float
    """Without a proof, silence for so long counts as one."""
    ends: Callable[[], Iterable[End]]
    """Those of its workers that have ended for certain, as far as anybody remembers."""


def charge_of(taskqueue: TaskQueue, broker: Broker, ends: Callable[[], Iterable[End]]) -> Charge:
    """A TaskQueue's fleet, as its spec has it."""
    spec = taskqueue.spec
    silent_after_s = spec.worker.unproven_death_after or spec.broker.visibility_timeout
    return Charge(
        key=taskqueue.key,
        broker=broker,
        prefix=spec.broker.key_prefix,
        max_deliveries=spec.worker.max_deliveries,
        silent_after_s=silent_after_s or DEFAULT_VISIBILITY_TIMEOUT_S,
        ends=ends,
    )


class Told(Protocol):
    """Told what came of it."""

    def recovered(self, fleet: str, cause: Cause, recovered: Recovered) -> None:
        """What a dead worker of this fleet held has come back."""

    def dead_letters(self, fleet: str, count: int, untold: int) -> None:
        """So many dead letters it has now.

        Args:
            untold: so many more than before that no recovery told of: workers made them, of what
                processes of their pools died of.
        """


class Recoveries:
    """Looks after the dead of all fleets."""

    def __init__(
        self,
        told: Told,
        *,
        may_act: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """No fleets yet.

        Args:
            may_act: asked before anything is moved. Two who recover do no harm; this
                keeps one who only watches from it.
            clock: Unix seconds.
        """
        self._told = told
        self._may_act = may_act
        self._clock = clock
        self._monotonic = monotonic
        self._charges: dict[str, Charge] = {}
        self._seen: dict[str, frozenset[End]] = {}
        """The ends that were looked into, by fleet."""
        self._due: set[str] = set()
        """Fleets of which there is news, or of which a look failed."""
        self._silence = Silence(monotonic=monotonic)
        self._tidied: dict[tuple[Broker, str], float] = {}
        """When each place was tidied, monotonic. Not at first: not all fleets are known yet."""
        self._counted: dict[tuple[Broker, str], float] = {}
        """When the dead letters of each place were counted, monotonic."""
        self._letters: dict[str, int] = {}
        """The dead letters that were told of, by fleet; those that were there at first, too."""
        self._failed: dict[str, str] = {}
        self._something = asyncio.Event()

    def put(self, charge: Charge) -> None:
        """Look after this fleet, as it is now."""
        if self._charges.get(charge.key) != charge:
            self._charges[charge.key] = charge
            self._due.add(charge.key)
            self._something.set()

    def drop(self, key: str, broker: Broker | None = None) -> None:
        """Leave this fleet alone from now on.

        Args:
            broker: only where it is still looked for there.
        """
        charge = self._charges.get(key)
        if charge is None or (broker is not None and charge.broker is not broker):
            return
        for known in (self._charges, self._seen, self._failed, self._letters):
            known.pop(key, None)
        self._silence.forget(key)
        self._due.discard(key)

    def looked_into(self, key: str) -> frozenset[End]:
        """The ends of this fleet's workers of which what they held was looked after."""
        return self._seen.get(key, frozenset())

    def touch(self, key: str) -> None:
        """Some worker of this fleet may have ended."""
        charge = self._charges.get(key)
        if charge is not None and frozenset(charge.ends()) - self._seen.get(key, frozenset()):
            self._due.add(key)
            self._something.set()

    async def run(self) -> None:
        """Look after them until cancelled."""
        looked_at_all = float("-inf")
        while True:
            self._something.clear()
            now = self._monotonic()
            every = now >= looked_at_all + LOOK_EVERY_S
            if every:
                looked_at_all = now
            await self.look(every=every)
            wait_s = AGAIN_S if self._due else looked_at_all + LOOK_EVERY_S - self._monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait_s)):
                    await self._something.wait()

    async def look(self, *, every: bool = True) -> None:
        """Look once, and bring back what is to be brought back.

        Args:
            every: all fleets, or only those of whose workers news came, or a look failed.
        """
        if not self._may_act():
            return
        places: defaultdict[tuple[Broker, str], list[Charge]] = defaultdict(list)
        for key in list(self._charges) if every else self._due & self._charges.keys():
            charge = self._charges[key]
            places[charge.broker, charge.prefix].append(charge)
        if every:
            self._tidied = {one: at for one, at in self._tidied.items() if one in places}
            self._counted = {one: at for one, at in self._counted.items() if one in places}
            self._silence.keep(places)
        await asyncio.gather(
            *(self._look(*place, them, every=every) for place, them in places.items())
        )

    async def _look(
        self, broker: Broker, prefix: str, charges: list[Charge], *, every: bool
    ) -> None:
        # Before the holders: who comes later must not be taken for one that has ended.
        ends = {charge.key: frozenset(charge.ends()) for charge in charges}
        # What comes while this goes on is news again.
        news = self._due & ends.keys()
        self._due -= news
        try:
            counted = ends if every and self._is_to_count(broker, prefix) else news
            holders = await self._read(broker, prefix, counted)
            for key, count in holders.letters.items():
                if key not in self._charges:
                    continue
                untold = max(0, count - self._letters.get(key, count))
                self._letters[key] = count
                self._told.dead_letters(key, count, untold)
            for charge in charges:
                if self._charges.get(charge.key) is not charge:
                    continue  # it went, or became another one, while this was asked
                for death, cause in self._deaths(charge, holders, ends[charge.key]):
                    await self._recover(charge, death, cause)
            await self._tidy(broker, prefix)
        except Exception as exc:
            # A defect that one broker's data meets must not end what is done for the others.
            defect = None if isinstance(exc, (BrokerError, RecoveryError)) else exc
            for charge in self._still(charges):
                self._note_failure(charge.key, str(exc), defect)
            return
        for charge in self._still(charges):
            self._failed.pop(charge.key, None)
            deaf = self._silence.is_deaf((broker, prefix))
            self._seen[charge.key] = frozenset(
                end for end in ends[charge.key] if not (deaf and end.if_silent)
            )

    async def _read(self, broker: Broker, prefix: str, counted: Iterable[str]) -> Holders:
        try:
            holders = await read_holders(broker, prefix, counted)
        except BrokerError:
            self._silence.unread((broker, prefix))
            raise
        self._silence.read((broker, prefix), holders.refused)
        return holders

    def _still(self, charges: list[Charge]) -> list[Charge]:
        """Those of them that are looked after as they were when the look began."""
        return [one for one in charges if self._charges.get(one.key) is one]

    def _is_to_count(self, broker: Broker, prefix: str) -> bool:
        """Whether the dead letters of all fleets there are to be counted at this look."""
        now, place = self._monotonic(), (broker, prefix)
        if now - self._counted.get(place, float("-inf")) < COUNT_EVERY_S:
            return False
        self._counted[place] = now
        return True

    def _deaths(
        self, charge: Charge, holders: Holders, ends: Iterable[End]
    ) -> list[tuple[Death, Cause]]:
        if not holders.there:
            self._silence.forget(charge.key)
            return []
        place, at = (charge.broker, charge.prefix), self._clock()
        proven = dict(ended(holders.there, charge.key, ends))
        for incarnation in [one for one, end in proven.items() if end.if_silent]:
            if incarnation in holders.heard:
                before = proven.pop(incarnation).before
                if before is not None and at - before < LAST_HEARD_S:
                    self._due.add(charge.key)
            elif self._silence.is_deaf(place):
                del proven[incarnation]
        deaths = [(death_of(one, end, at), end.cause) for one, end in proven.items()]
        unheard = [
            incarnation
            for incarnation, holder in holders.there.items()
            if holder.fleet == charge.key
            and incarnation not in proven
            and incarnation not in holders.heard
        ]
        for incarnation, silent_s in self._silence.of(charge.key, place, unheard).items():
            if silent_s >= charge.silent_after_s:
                reason = f"silent for {silent_s:.0f} s"
                death = Death(incarnation=incarnation, at=at, reason=reason, proven=False)
                deaths.append((death, Cause.SILENCE))
        return deaths

    async def _recover(self, charge: Charge, death: Death, cause: Cause) -> None:
        steps = recovery(
            Place(prefix=charge.prefix),
            death,
            fleet=charge.key,
            max_deliveries=charge.max_deliveries,
        )
        recovered = await carry_out(charge.broker, steps)
        # Who takes on without a heartbeat is not buried at every look from here on.
        self._silence.begin_anew(charge.key, death.incarnation)
        if not recovered.lives:
            self._told.recovered(charge.key, cause, recovered)
        if recovered.dead:
            if charge.key in self._letters:
                self._letters[charge.key] += recovered.dead
            self._counted.clear()  # the next look counts anew

    async def _tidy(self, broker: Broker, prefix: str) -> None:
        now, place = self._monotonic(), (broker, prefix)
        if now - self._tidied.setdefault(place, now) >= TIDY_EVERY_S:
            self._tidied[place] = now
            await carry_out(broker, tidying(Place(prefix=prefix), spare=self._charges.keys()))

    def _note_failure(self, key: str, sentence: str, defect: Exception | None) -> None:
        if self._failed.get(key) != sentence:
            log.warning(
                "%s: what dead workers hold cannot be looked at: %s", key, sentence, exc_info=defect
            )
        self._failed[key] = sentence
        self._due.add(key)
