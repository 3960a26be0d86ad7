"""Operators: what a leader decides, how it arrives, and what becomes of leaders.

Where ``writes_under_way`` is set, a decision and its effect are two steps with anything
between them, and a deposed leader's last write may still arrive. Elsewhere they are one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from protocol import recovery
from protocol.state import NOW, Intent, Operator, State
from protocol.world import Move, World

Choice = tuple[str, Intent]


def _decided(
    world: World, s: State, choices: Callable[[World, State], Iterator[Choice]]
) -> Iterator[Move]:
    for o, operator in enumerate(s.operators):
        if operator.life != "leads" or operator.intent is not None:
            continue
        for sentence, intent in choices(world, s):
            after = recovery.listed(world, s, o, intent)
            held = after.operator(o, Operator("leads", intent))
            if world.writes_under_way:
                yield f"{name(o)} decides to {sentence}", held
            else:
                yield f"{name(o)} decides to {sentence}, and does", _all_arrived(world, held, o)


def _all_arrived(world: World, s: State, o: int) -> State:
    while s.operators[o].intent is not None:
        _, s = next(_arrived(world, s, o))
    return s


def name(operator: int) -> str:
    return ("the operator", "the other operator")[operator]


# What must be done, sooner or later.


def recovers_the_dead(world: World, s: State) -> Iterator[Move]:
    if world.recovers:
        yield from _decided(world, s, recovery.to_recover)


def buries_the_silent(world: World, s: State) -> Iterator[Move]:
    if world.recovers:
        yield from _decided(world, s, recovery.to_bury)


def asks_for_a_worker(world: World, s: State) -> Iterator[Move]:
    if world.floor is not None:
        yield from _decided(world, s, _more)


def _more(world: World, s: State) -> Iterator[Choice]:
    if s.replicas < len(s.workers) and wants_a_worker(s):
        yield f"ask for {s.replicas + 1} workers", Intent("raise", replicas=s.replicas + 1)


def wants_a_worker(s: State) -> bool:
    """Work waits. A queue is looked into only so far: behind that, far ETAs are not seen."""
    return any(m.queued for m in s.messages)


def sends(world: World, s: State) -> Iterator[Move]:
    for o, operator in enumerate(s.operators):
        if operator.life == "leads" and operator.intent is not None:
            for sentence, after in _arrived(world, s, o):
                yield f"{name(o)} {sentence}", after


# What it may decide.


def asks_to_drain(world: World, s: State) -> Iterator[Move]:
    if world.drains:
        yield from _decided(world, s, _victims)


def _victims(world: World, s: State) -> Iterator[Choice]:
    for i, w in enumerate(s.workers):
        if w.process == "up" and not w.leased and not w.told_to_go and w.mode == "consuming":
            yield f"drain {NOW[i]}", Intent("lease", i)


def recalls(world: World, s: State) -> Iterator[Move]:
    if world.drains:
        yield from _decided(world, s, _recallable)


def _recallable(world: World, s: State) -> Iterator[Choice]:
    if world.rules.recalls_who_stays and is_lowering(s):
        return
    for i, w in enumerate(s.workers):
        if w.leased:
            yield f"recall {NOW[i]}", Intent("recall", i)


def lowers(world: World, s: State) -> Iterator[Move]:
    if world.floor is not None:
        yield from _decided(world, s, _fewer)


def _fewer(world: World, s: State) -> Iterator[Choice]:
    assert world.floor is not None
    if s.replicas <= world.floor or (world.rules.counts_who_is_going and is_lowering(s)):
        return
    for i, w in enumerate(s.workers):
        if w.mode == "drained" and w.leased and w.standing:
            yield (
                f"lower the replicas to {s.replicas - 1}, for {NOW[i]} has drained",
                Intent("lower", i, s.replicas - 1),
            )


def is_lowering(s: State) -> bool:
    """More pods are there than asked for: Kubernetes has still to tell some of them to go."""
    return standing(s) > s.replicas


def standing(s: State) -> int:
    return sum(w.standing for w in s.workers)


# How it arrives.


def _arrived(world: World, s: State, o: int) -> Iterator[Move]:
    """The effect of an operator's intent; of a recovery, the effect on one message. Recovery
    needs no epoch: its scripts look at the take, and what is right to move is right
    whoever asks."""
    life, intent = s.operators[o]
    assert intent is not None
    if intent.kind in ("recover", "bury"):
        yield from _recovered(world, s, o, intent)
        return
    s = s.operator(o, Operator(life))
    w = s.workers[intent.worker]
    refused = life == "deposed" and world.rules.leases_carry_the_epoch
    match intent.kind:
        case "lease" | "recall" if refused:
            yield "sends a lease, and is refused: somebody else leads", s
        case "lease":
            yield f"sets a lease for {NOW[intent.worker]}", s.worker(intent.worker, leased=w.alive)
        case "recall":
            yield (
                f"deletes the lease of {NOW[intent.worker]}",
                s.worker(intent.worker, leased=False),
            )
        case "lower" | "raise":
            if world.rules.lowering_carries_its_version and not intent.fresh:
                yield "writes the replicas, and is refused: they have changed", s
            else:
                yield f"sets the replicas to {intent.replicas}", _scaled(s, intent.replicas)


def _recovered(world: World, s: State, o: int, intent: Intent) -> Iterator[Move]:
    life = s.operators[o].life
    if intent.kind == "recover" and not world.rules.recovery_is_one_script:
        sentence, s, whole = recovery.recover_in_two_steps(s, intent)
        left = None if whole else intent._replace(fresh=False)
        yield sentence, (recovery.unlisted(s, o) if whole else s).operator(o, Operator(life, left))
        return
    how = recovery.recover if intent.kind == "recover" else recovery.bury
    moves = list(how(world, s, o, intent))
    for sentence, after in moves:
        over = not any(o in m.listed for m in after.messages)
        yield sentence, after.operator(o, Operator(life)) if over else after
    if not moves:
        yield "finds nothing to recover any more", s.operator(o, Operator(life))


def _scaled(s: State, replicas: int) -> State:
    """A write to the scale object: whatever was decided on the old one is stale."""
    return _touched(s)._replace(replicas=replicas)


def _touched(s: State) -> State:
    return s._replace(
        operators=tuple(
            o._replace(intent=o.intent._replace(fresh=False))
            if o.intent is not None and o.intent.kind in ("lower", "raise")
            else o
            for o in s.operators
        )
    )


# What becomes of leaders.


def vanishes(world: World, s: State) -> Iterator[Move]:
    if s.luck.vanishings:
        for o, operator in enumerate(s.operators):
            if operator.life == "leads":
                after = recovery.unlisted(s.spend("vanishings"), o)
                yield f"{name(o)} vanishes", after.operator(o, Operator("vanished"))


def nobody_stands_by(world: World, s: State) -> Iterator[Move]:
    """The key that says so runs out when nobody has renewed it for long."""
    if world.take == "atomic" and s.stood_by and not s.led and any(m.future for m in s.messages):
        yield "the word that somebody stands by runs out", s._replace(stood_by=False)


def stands_by(world: World, s: State) -> Iterator[Move]:
    if s.led and not s.stood_by:
        yield "the operator says again that it stands by", s._replace(stood_by=True)


def returns(world: World, s: State) -> Iterator[Move]:
    for o, operator in enumerate(s.operators):
        if operator.life == "vanished" and world.operator_returns and not s.led:
            yield f"{name(o)} is back", s.operator(o, Operator("leads"))


def takes_over(world: World, s: State) -> Iterator[Move]:
    """The leader freezes, its term ends, another leads; the old one does not know."""
    if not s.luck.takeovers:
        return
    for old, leader in enumerate(s.operators):
        for new, other in enumerate(s.operators):
            if leader.life == "leads" and other.life == "stands by":
                s = s.spend("takeovers").operator(old, leader._replace(life="deposed"))
                s = _touched(s) if world.rules.takeover_writes_first else s
                yield f"{name(new)} takes over", s.operator(new, Operator("leads"))
                return


def deposed_one_sends(world: World, s: State) -> Iterator[Move]:
    for o, operator in enumerate(s.operators):
        if operator.life == "deposed" and operator.intent is not None:
            for sentence, after in _arrived(world, s, o):
                yield f"{name(o)}, deposed, {sentence}", after
