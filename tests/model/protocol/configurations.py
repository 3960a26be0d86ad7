"""The worlds that are explored: small ones, each of which puts one idea under pressure.

Adversity is what makes a world large, so each has the kinds that concern its idea, and
of each kind so much as is needed for two to meet. Today's worlds are what the worker's
agent does on kombu's own transport; the others are the design with the atomic take.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.properties import (
    FAR_WORK_LETS_A_FLEET_REST,
    GOALS,
    SAFETY,
    SAFETY_TODAY,
    Goal,
    Safety,
    nobody_goes_unasked,
    nothing_is_lost,
)
from protocol.rules import Rules
from protocol.state import Message, Mishaps
from protocol.world import World


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A world and what must hold in it."""

    about: str
    """What happens in it, for the table in the documentation."""
    world: World
    safety: tuple[Safety, ...]
    goals: tuple[Goal, ...] = GOALS


PLAIN = Message()
LATER = Message(published=False)
"""Published at any time: while a BRPOP is out, or after the last slot was taken."""
FUTURE = Message(future=True)
POISON = Message(kind="poison")
LATER_POISON = Message(kind="poison", future=True)
SUSPECT = Message(deaths=2)
"""It ran beside others in two workers that died."""

AS_KOMBU_HAS_IT = Rules().without("renews_what_it_holds")

CONFIGURATIONS: dict[str, Configuration] = {
    "today-drain": Configuration(
        about="2 workers drained, recalled and scaled down; the operator vanishes for good",
        world=World(
            take="kombu",
            messages=(LATER,),
            drains=True,
            floor=1,
            luck=Mishaps(vanishings=1),
            operator_returns=False,
        ),
        safety=(nothing_is_lost, *SAFETY_TODAY[1:]),
    ),
    "today-eta": Configuration(
        about="2 workers drained while one holds an ETA task and a subtask is published",
        world=World(take="kombu", messages=(FUTURE, LATER), drains=True),
        safety=(nothing_is_lost, *SAFETY_TODAY[1:]),
    ),
    "today-cut": Configuration(
        about="an ETA task, drains, and a lost connection between any two steps",
        world=World(take="kombu", messages=(FUTURE,), drains=True, luck=Mishaps(cuts=1)),
        safety=SAFETY_TODAY,
    ),
    "today-crash": Configuration(
        about="drains, recalls, a crash; the visibility timeout brings back what was held",
        world=World(
            take="kombu",
            messages=(PLAIN,),
            drains=True,
            sweeps=True,
            luck=Mishaps(crashes=1),
            rules=AS_KOMBU_HAS_IT,
        ),
        safety=SAFETY_TODAY,
    ),
    "take": Configuration(
        about="2 messages; a crash and a lost connection between any two steps",
        world=World(
            take="atomic", messages=(PLAIN, PLAIN), recovers=True, luck=Mishaps(crashes=1, cuts=1)
        ),
        safety=SAFETY,
    ),
    "drain": Configuration(
        about="2 messages, 2 workers drained, recalled and scaled down; the operator vanishes",
        world=World(
            take="atomic",
            messages=(PLAIN, LATER),
            drains=True,
            floor=1,
            luck=Mishaps(vanishings=1),
            operator_returns=False,
        ),
        safety=SAFETY,
    ),
    "drain-cut": Configuration(
        about="drains and recalls with two lost connections",
        world=World(take="atomic", messages=(PLAIN,), drains=True, luck=Mishaps(cuts=2)),
        safety=SAFETY,
    ),
    "leave-cut": Configuration(
        about="a worker drained, recalled and told to go, with two lost connections",
        world=World(
            take="atomic",
            messages=(PLAIN, LATER),
            workers=1,
            drains=True,
            floor=0,
            recovers=True,
            luck=Mishaps(cuts=2),
        ),
        safety=SAFETY,
    ),
    "death": Configuration(
        about="a crash with children that run on, a freeze, and an operator that vanishes"
        " and comes back, each of its writes under way for any time",
        world=World(
            take="atomic",
            messages=(PLAIN,),
            recovers=True,
            writes_under_way=True,
            children_outlive=True,
            luck=Mishaps(crashes=1, freezes=1, vanishings=1),
        ),
        safety=SAFETY,
    ),
    "deletion": Configuration(
        about="a Pod object deleted by force, a crash, an operator that vanishes",
        world=World(
            take="atomic",
            messages=(PLAIN,),
            recovers=True,
            writes_under_way=True,
            children_outlive=True,
            luck=Mishaps(crashes=1, force_deletions=1, vanishings=1),
        ),
        safety=SAFETY,
    ),
    "recovery": Configuration(
        about="2 messages; the operator's recovery meets the next incarnation's own",
        world=World(
            take="atomic",
            messages=(PLAIN, PLAIN),
            recovers=True,
            writes_under_way=True,
            luck=Mishaps(crashes=2),
        ),
        safety=SAFETY,
    ),
    "beside": Configuration(
        about="a plain kombu worker on the same queue, visibility timeouts, a freeze, a crash",
        world=World(
            take="atomic",
            messages=(PLAIN,),
            recovers=True,
            beside=True,
            sweeps=True,
            luck=Mishaps(crashes=1, freezes=1),
        ),
        safety=SAFETY,
    ),
    "results": Configuration(
        about="results are stored; a crash, a freeze, visibility timeouts",
        world=World(
            take="atomic",
            messages=(PLAIN,),
            recovers=True,
            results=True,
            sweeps=True,
            luck=Mishaps(crashes=1, freezes=1),
        ),
        safety=SAFETY,
    ),
    "poison": Configuration(
        about="a poison message beside a harmless one, 2 workers of 2 slots, an eviction",
        world=World(
            take="atomic",
            messages=(POISON, PLAIN),
            slots=2,
            recovers=True,
            luck=Mishaps(evictions=1),
        ),
        safety=SAFETY,
    ),
    "pool": Configuration(
        about="poison that ends its worker or a process of its pool, a lost connection",
        world=World(
            take="atomic",
            messages=(POISON, PLAIN),
            slots=2,
            workers=1,
            recovers=True,
            pool_processes_die=True,
            luck=Mishaps(cuts=1),
        ),
        safety=SAFETY,
    ),
    "suspects": Configuration(
        about="a suspect, a poison message, and another that was held for its ETA",
        world=World(
            take="atomic",
            messages=(SUSPECT, POISON, LATER_POISON),
            slots=2,
            workers=1,
            recovers=True,
            pool_processes_die=True,
        ),
        safety=SAFETY,
    ),
    "future": Configuration(
        about="a far ETA and another message on a fleet that may go to zero; a crash",
        world=World(
            take="atomic",
            messages=(FUTURE, LATER),
            workers=1,
            drains=True,
            floor=0,
            recovers=True,
            luck=Mishaps(crashes=1),
        ),
        safety=SAFETY,
        goals=(*GOALS, FAR_WORK_LETS_A_FLEET_REST),
    ),
    "stands-by": Configuration(
        about="a far ETA and another message, an operator that vanishes and comes back,"
        " a fleet that may go to zero",
        world=World(
            take="atomic",
            messages=(FUTURE, PLAIN),
            workers=1,
            drains=True,
            floor=0,
            luck=Mishaps(vanishings=1),
        ),
        safety=SAFETY,
        goals=(*GOALS, FAR_WORK_LETS_A_FLEET_REST),
    ),
    "leaders-recovery": Configuration(
        about="2 operators, a takeover while recoveries and burials are under way",
        world=World(
            take="atomic",
            messages=(PLAIN,),
            operators=2,
            recovers=True,
            writes_under_way=True,
            luck=Mishaps(takeovers=1, crashes=1, freezes=1),
        ),
        safety=SAFETY,
    ),
    "leaders": Configuration(
        about="2 operators, a takeover, writes of the deposed one still under way",
        world=World(
            take="atomic",
            messages=(),
            operators=2,
            drains=True,
            floor=0,
            writes_under_way=True,
            luck=Mishaps(takeovers=1),
            # Somebody renews them all the time: what may happen when nobody does is above.
            rules=Rules().without("leases_end"),
        ),
        safety=(*SAFETY, nobody_goes_unasked),
    ),
}
