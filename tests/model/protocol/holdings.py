"""Moving a held message back: what a give-back, a settling and a recovery have in common."""

from __future__ import annotations

from protocol.state import BESIDE, NOBODY, NOW, Message, State
from protocol.world import World


def lives(s: State, holder: str) -> bool:
    """Whether a holder is a process that may still be at work."""
    return holder == BESIDE or (holder in NOW and s.workers[NOW.index(holder)].alive)


def put_back(s: State, message: Message, *, by: str) -> Message:
    """The message in its list again, in no holdings, unmarked.

    Whoever moves what a living other holds takes it from them; the ghost tells.
    """
    if message.holder != by and lives(s, message.holder):
        message = message.haunted("taken from a living holder")
    return message._replace(queued=message.queued + 1, holder=NOBODY, claims=frozenset())


def recovered(world: World, s: State, message: Message, *, owner: str, blamed: bool) -> Message:
    """What the recovery script makes of one message that a dead ``owner`` held.

    Back to the list; acknowledged where its run is known to have finished; a dead
    letter where too many died of it.
    """
    rules = world.rules
    if message.marked and rules.finished_is_told:
        return message._replace(acked=True, holder=NOBODY, claims=frozenset(), listed=frozenset())
    if message.marked:
        message = message.haunted("given back though known to have finished")
    had_a_slot = not message.future
    deaths = message.deaths + (had_a_slot and (blamed or not rules.blames_only_crashes))
    if deaths >= world.max_deliveries:
        return message._replace(dead=True, holder=NOBODY, deaths=deaths, listed=frozenset())
    return put_back(s, message, by=owner)._replace(deaths=deaths)
