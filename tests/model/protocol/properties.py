"""What must hold: in every state (safety), and from every state on (no dead ends)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from protocol import steps
from protocol.future import comes_due
from protocol.leading import wants_a_worker
from protocol.state import NOW, State, letter
from protocol.world import Step, World

Safety = Callable[[World, State], str | None]
"""What is wrong with a state, as a sentence; None where nothing is."""

AT_LEAST_ONCE = frozenset({"restored by timeout", "given away for silence"})
"""The named exceptions: a living worker's message was given to another because a timeout
passed, kombu's or ours. Nobody can do better who may not wait for ever."""


def nothing_is_lost(world: World, s: State) -> str | None:
    """Every message is done, in a place of Redis, or on its way to a living worker."""
    for k, m in enumerate(s.messages):
        if m.published and not m.acked and not m.places and not _is_on_its_way(s, k):
            return f"{letter(k)} is lost: neither Redis nor a living worker has it"
    return None


def nothing_is_lost_but_in_sockets(world: World, s: State) -> str | None:
    """The same, but for what kombu's take loses with a process or a connection."""
    wrong = nothing_is_lost(world, s)
    return None if any("was in a socket" in m.ghosts for m in s.messages) else wrong


def _is_on_its_way(s: State, message: int) -> bool:
    m = s.messages[message]
    return any(
        w.alive and (memory == "owed" or (memory == "socket" and w.connected))
        for w, memory in zip(s.workers, m.memory, strict=True)
    )


def each_message_is_in_one_place(world: World, s: State) -> str | None:
    for k, m in enumerate(s.messages):
        if m.places > 1:
            return f"{letter(k)} is in {m.places} places at once"
    return None


def no_two_have_it(world: World, s: State) -> str | None:
    """No message is with two living workers, the named exceptions included."""
    for k, m in enumerate(s.messages):
        with_it = [
            NOW[i]
            for i, (w, memory) in enumerate(zip(s.workers, m.memory, strict=True))
            if (w.alive and memory not in ("", "finished")) or m.orphaned[i]
        ]
        with_it += ["the plain worker"] * m.beside
        if len(with_it) > 1:
            return f"{letter(k)} is with {' and '.join(with_it)} at the same time"
    return None


def no_two_have_it_by_our_doing(world: World, s: State) -> str | None:
    """The same, apart from the named exceptions."""
    if not any(m.ghosts & AT_LEAST_ONCE for m in s.messages):
        return no_two_have_it(world, s)
    held_to_it = tuple(m for m in s.messages if not m.ghosts & AT_LEAST_ONCE)
    return no_two_have_it(world, s._replace(messages=held_to_it))


def nothing_is_taken_from_the_living(world: World, s: State) -> str | None:
    """No script of ours moves what somebody else holds and lives, also after an exception."""
    return _ghost(s, "taken from a living holder")


def only_owners_start(world: World, s: State) -> str | None:
    """What a worker of ours starts is still in its name. (A plain worker that was given up
    acknowledges by tag whatever it finds: what became of its messages is not asked.)"""
    return _ghost(s, "started by one that it was taken from")


def the_finished_is_not_given_back(world: World, s: State) -> str | None:
    """Whoever recovers it, or takes it, finds the result, where there is one by then."""
    return _ghost(s, "given back though known to have finished") or _ghost(
        s, "taken to be run though known to have finished"
    )


def nothing_is_parked_for_nobody(world: World, s: State) -> str | None:
    """Who parks leaves it to somebody who will start a worker in time."""
    return _ghost(s, "parked while nobody stood by")


def _ghost(s: State, ghost: str) -> str | None:
    for k, m in enumerate(s.messages):
        if ghost in m.ghosts:
            return f"{letter(k)} was {ghost}"
    return None


def the_drained_hold_nothing(world: World, s: State) -> str | None:
    """Neither in memory, nor on the way, nor in Redis in their name; nor do those that left."""
    for i, w in enumerate(s.workers):
        if w.process not in ("up", "gone") or (w.process == "up" and w.mode != "drained"):
            continue
        if w.polling:
            return f"{NOW[i]} is drained, but a BRPOP of its is out"
        for k, m in enumerate(s.messages):
            if m.memory[i] or (m.holder == NOW[i] and not w.doubt):
                return f"{NOW[i]} is {w.process} and {w.mode}, but has {letter(k)}"
    return None


def only_poison_dies(world: World, s: State) -> str | None:
    for k, m in enumerate(s.messages):
        if m.dead and m.kind != "poison":
            return f"{letter(k)} is a dead letter, though it harmed nobody"
    return None


def nobody_goes_unasked(world: World, s: State) -> str | None:
    """Replicas are never below the workers that nobody has asked to drain."""
    staying = sum(w.standing and not w.leased for w in s.workers)
    if s.replicas < staying:
        return f"{staying} workers were not asked to drain, but only {s.replicas} may stay"
    return None


SAFETY: tuple[Safety, ...] = (
    nothing_is_lost,
    each_message_is_in_one_place,
    no_two_have_it_by_our_doing,
    nothing_is_taken_from_the_living,
    only_owners_start,
    the_finished_is_not_given_back,
    nothing_is_parked_for_nobody,
    the_drained_hold_nothing,
    only_poison_dies,
)
"""What holds in every world with the atomic take."""

SAFETY_TODAY: tuple[Safety, ...] = (
    nothing_is_lost_but_in_sockets,
    each_message_is_in_one_place,
    no_two_have_it_by_our_doing,
    nothing_is_taken_from_the_living,
    the_drained_hold_nothing,
)
"""What holds with kombu's take."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """From every state in which it ``applies``, some course reaches a ``reached`` state."""

    name: str
    applies: Callable[[World, State], bool]
    reached: Callable[[World, State], bool]
    by: frozenset[Step]
    """The steps that such a course may take."""

    def __str__(self) -> str:
        return self.name


def _everything_ended(world: World, s: State) -> bool:
    """What kombu's take lost is counted by ``nothing_is_lost``, and not once more here."""
    return all(
        m.ended or ("was in a socket" in m.ghosts and not m.places and not any(m.memory))
        for m in s.messages
    )


EVERY_MESSAGE_ENDS = Goal(
    name="every message comes to an end",
    # Unless all are frozen, and for ever: then somebody has to look for new machines.
    applies=lambda world, s: any(w.process != "frozen" for w in s.workers),
    reached=_everything_ended,
    by=frozenset(steps.MUST),
)


def _works_or_has_left(world: World, s: State) -> bool:
    return all(
        w.process == "gone"
        or w.told_to_go
        or (w.able and w.mode == "consuming" and not w.doubt and not w.fresh)
        for w in s.workers
    )


WHOEVER_IS_TOLD_TO_GO_LEAVES = Goal(
    name="whoever is told to go leaves",
    applies=lambda world, s: all(w.process != "frozen" for w in s.workers),
    reached=lambda world, s: not any(w.told_to_go for w in s.workers),
    by=frozenset(steps.MUST),
)

NOBODY_IDLES_FOR_EVER = Goal(
    name="without an operator every worker consumes again",
    applies=lambda world, s: not s.led and all(w.process != "frozen" for w in s.workers),
    reached=_works_or_has_left,
    by=frozenset(steps.MUST) - frozenset(steps.OPERATORS),
)


def _only_far_work(world: World, s: State) -> bool:
    return all(m.acked or m.future for m in s.messages)


def _at_rest(world: World, s: State) -> bool:
    return all(w.process == "gone" for w in s.workers) and not wants_a_worker(s)


FAR_WORK_LETS_A_FLEET_REST = Goal(
    name="a fleet whose work lies far ahead goes to zero and stays there",
    applies=_only_far_work,
    reached=_at_rest,
    by=frozenset((*steps.MUST, *steps.MAY)) - {comes_due},
)

GOALS: tuple[Goal, ...] = (
    EVERY_MESSAGE_ENDS,
    NOBODY_IDLES_FOR_EVER,
    WHOEVER_IS_TOLD_TO_GO_LEAVES,
)


def named(properties: tuple[Safety, ...]) -> Iterator[tuple[str, Safety]]:
    """Safety properties with their names as sentences."""
    for each in properties:
        yield each.__name__.replace("_", " "), each
