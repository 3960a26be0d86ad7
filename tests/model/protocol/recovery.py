"""Coming back: what a worker settles by itself, and what an operator moves for the dead.

Everything here is a script on Redis that looks at the holder before it moves anything,
so it may be run by anyone, any number of times, at any time.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.connection import answered
from protocol.holdings import put_back, recovered
from protocol.state import BEFORE, NOBODY, NOW, UNSTARTED, Intent, Message, State, letter
from protocol.world import Move, World


def settles(world: World, s: State) -> Iterator[Move]:
    """After silence, when all that has not started has gone back: one script gives back what
    Redis has in my name and I do not know of."""
    for i, w in enumerate(s.workers):
        if not (w.able and w.doubt) or any(m.memory[i] in UNSTARTED for m in s.messages):
            continue
        done = s._replace(
            messages=tuple(
                put_back(s, m, by=NOW[i]) if m.holder == NOW[i] and not m.memory[i] else m
                for m in s.messages
            )
        )
        if world.rules.settling_ends_older_takes:
            done = done.worker(i, late=False)
        yield from answered(
            world,
            i,
            f"{NOW[i]} settles what Redis has in its name",
            done,
            done.worker(i, doubt=False),
        )


def looks_back(world: World, s: State) -> Iterator[Move]:
    """A new incarnation, before it takes anything: what its predecessor held, one by one."""
    for i, w in enumerate(s.workers):
        if not (w.able and w.fresh):
            continue
        left = [k for k, m in enumerate(s.messages) if m.holder == BEFORE[i]]
        if not left or not _is_proven(world, s, i):
            yield f"{NOW[i]} is done with looking back", s.worker(i, fresh=False)
            continue
        for k in left:
            m = recovered(world, s, s.messages[k], owner=BEFORE[i], blamed=w.blamed)
            after = s.message(k, m)
            yield from answered(
                world, i, f"{NOW[i]} recovers {letter(k)} of its predecessor's", after, after
            )


def _is_proven(world: World, s: State, worker: int) -> bool:
    return s.workers[worker].proven or not world.rules.proof_is_the_containers_end


def to_recover(world: World, s: State) -> Iterator[tuple[str, Intent]]:
    """What an operator finds to recover: holdings of incarnations that are proven dead."""
    for i, w in enumerate(s.workers):
        deleted = w.unwatched and not world.rules.deletion_proves_nothing
        if not deleted and not _is_proven(world, s, i):
            continue
        if any(_is_left(world, s, m, i) for m in s.messages):
            yield f"recover what {BEFORE[i]} held", Intent("recover", i)


def _is_left(world: World, s: State, m: Message, worker: int) -> bool:
    """Whether a message stands in holdings that would be recovered."""
    deleted = s.workers[worker].unwatched and not world.rules.deletion_proves_nothing
    if not world.rules.receipts:
        return m.holder != NOBODY and BEFORE[worker] in m.claims
    return m.holder == BEFORE[worker] or (deleted and m.holder == NOW[worker])


def to_bury(world: World, s: State) -> Iterator[tuple[str, Intent]]:
    """Holdings whose owner has been silent for very long and is not proven dead. A proof
    is of one incarnation: that of a predecessor says nothing of the one that froze."""
    for i in range(len(s.workers)):
        if any(is_in_a_silent_ones_name(s, m, i) for m in s.messages):
            yield f"bury {NOW[i]}, silent for very long", Intent("bury", i)


def is_in_a_silent_ones_name(s: State, m: Message, worker: int) -> bool:
    """Whether a burial would move it. A predecessor is silent, whoever has its place."""
    w = s.workers[worker]
    if m.holder == BEFORE[worker]:
        return not w.proven
    return w.silent and m.holder == NOW[worker]


def listed(world: World, s: State, operator: int, intent: Intent) -> State:
    """A recovery reads the holdings now, and moves what it found there later."""

    def is_read(m: Message) -> bool:
        if intent.kind == "bury":
            return is_in_a_silent_ones_name(s, m, intent.worker)
        return intent.kind == "recover" and _is_left(world, s, m, intent.worker)

    return s._replace(
        messages=tuple(
            m._replace(listed=m.listed | {operator}) if is_read(m) else m for m in s.messages
        )
    )


def unlisted(s: State, operator: int) -> State:
    """What the operator has read is of no use any more."""
    return s._replace(messages=tuple(m._replace(listed=m.listed - {operator}) for m in s.messages))


def recover(world: World, s: State, operator: int, intent: Intent) -> Iterator[Move]:
    """The recovery of one dead incarnation arrives at Redis, message by message: each is
    moved if it still stands there as it was read."""
    owner, blamed = BEFORE[intent.worker], s.workers[intent.worker].blamed
    for k, m in enumerate(s.messages):
        if operator not in m.listed:
            continue
        after = m._replace(listed=m.listed - {operator})
        if m.holder != NOBODY:
            after = recovered(world, s, after, owner=owner, blamed=blamed)
        yield f"recovers {letter(k)}", s.message(k, after)


def recover_in_two_steps(s: State, intent: Intent) -> tuple[str, State, bool]:
    """A recovery that pushes first and forgets afterwards, as two commands.

    Returns:
        What was done, the state after it, and whether that was all.
    """
    owner = BEFORE[intent.worker]
    if intent.fresh:
        pushed = tuple(
            m._replace(queued=m.queued + 1) if m.holder == owner else m for m in s.messages
        )
        return "pushes what is to be recovered", s._replace(messages=pushed), False
    forgotten = tuple(m._replace(holder=NOBODY) if m.holder == owner else m for m in s.messages)
    return "clears the holdings of what it has pushed", s._replace(messages=forgotten), True


def bury(world: World, s: State, operator: int, intent: Intent) -> Iterator[Move]:
    """The recovery for silence alone arrives at Redis, message by message."""
    i = intent.worker
    w = s.workers[i]
    for k, m in enumerate(s.messages):
        if operator not in m.listed:
            continue
        heard = m.holder == NOW[i] and not w.silent
        if heard and world.rules.burial_looks_again:
            yield f"finds that {NOW[i]} is heard again", unlisted(s, operator)
            continue
        after = m._replace(listed=m.listed - {operator})
        if m.holder != NOBODY:
            if not heard and ((m.holder == NOW[i] and w.alive) or m.orphaned[i]):
                after = after.haunted("given away for silence")
            owner = BEFORE[i] if heard else m.holder
            after = recovered(world, s, after, owner=owner, blamed=False)
        yield f"recovers {letter(k)}, which the silent one held", s.message(k, after)


def times_out(world: World, s: State) -> Iterator[Move]:
    """kombu's own way: whoever sweeps restores what is older than the visibility timeout,
    by tag and time alone, whether or not anybody still works at it."""
    if not world.sweeps:
        return
    for k, m in enumerate(s.messages):
        if m.holder == NOBODY or (world.rules.renews_what_it_holds and _is_renewed(s, m)):
            continue
        at_work = m.beside or any(
            (w.alive and m.memory[i]) or m.orphaned[i] for i, w in enumerate(s.workers)
        )
        if m.beside:
            m = m.haunted("restored from a plain worker")
        m = m._replace(queued=m.queued + 1, holder=NOBODY)
        yield (
            f"the visibility timeout of {letter(k)} passes, and kombu restores it",
            s.message(k, m.haunted("restored by timeout") if at_work else m),
        )


def _is_renewed(s: State, m: Message) -> bool:
    """What a worker does not know of it does not renew, either."""
    if m.holder not in NOW:
        return False
    worker = NOW.index(m.holder)
    w = s.workers[worker]
    return w.able and not w.doubt and m.memory[worker] != ""
