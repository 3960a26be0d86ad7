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
    """After silence and at the start: what Redis has in my name and I do not know of goes
    back, what I know of and Redis gave away is dropped, what my predecessor left is recovered."""
    for i, w in enumerate(s.workers):
        if not (w.able and w.doubt):
            continue
        done = s._replace(messages=tuple(_settled(world, s, m, i) for m in s.messages))
        known = done._replace(
            messages=tuple(
                m.in_memory(i, "") if m.memory[i] in UNSTARTED and m.holder != NOW[i] else m
                for m in done.messages
            )
        )
        yield from answered(
            world,
            i,
            f"{NOW[i]} settles what Redis has in its name",
            done,
            known.worker(i, doubt=False),
        )


def _settled(world: World, s: State, m: Message, worker: int) -> Message:
    if m.holder == NOW[worker] and m.memory[worker] == "":
        return put_back(s, m, by=NOW[worker])
    w = s.workers[worker]
    if m.holder == BEFORE[worker] and world.take == "atomic" and _is_proven(world, s, worker):
        return recovered(world, s, m, owner=BEFORE[worker], blamed=w.blamed)
    return m


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
    for i, w in enumerate(s.workers):
        if w.silent and any(
            m.holder == NOW[i] or (m.holder == BEFORE[i] and not w.proven) for m in s.messages
        ):
            yield f"bury {NOW[i]}, silent for very long", Intent("bury", i)


def listed(world: World, s: State, operator: int, intent: Intent) -> State:
    """Recovery by tag reads the tags now and moves them later."""
    if intent.kind != "recover" or world.rules.receipts:
        return s
    return s._replace(
        messages=tuple(
            m._replace(listed=m.listed | {operator}) if _is_left(world, s, m, intent.worker) else m
            for m in s.messages
        )
    )


def recover(world: World, s: State, operator: int, intent: Intent) -> State:
    """The recovery of one dead incarnation arrives at Redis. If the pod has lost another
    one since, that is not meant, though both have one name here."""
    owner, blamed = BEFORE[intent.worker], s.workers[intent.worker].blamed
    meant = _is_proven(world, s, intent.worker)

    def moved(m: Message) -> Message:
        if world.rules.receipts:
            mine = meant and _is_left(world, s, m, intent.worker)
        else:
            mine = operator in m.listed and m.holder != NOBODY
        m = m._replace(listed=m.listed - {operator})
        return recovered(world, s, m, owner=owner, blamed=blamed) if mine else m

    return s._replace(messages=tuple(moved(m) for m in s.messages))


def recover_in_two_steps(s: State, operator: int, intent: Intent) -> tuple[str, State, bool]:
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


def bury(world: World, s: State, intent: Intent) -> State:
    """The recovery for silence alone arrives at Redis."""
    i = intent.worker
    w = s.workers[i]
    if world.rules.burial_looks_again and not w.silent:
        return s

    def moved(m: Message) -> Message:
        if m.holder not in (NOW[i], BEFORE[i]):
            return m
        if not w.silent:
            return recovered(world, s, m, owner=BEFORE[i], blamed=False)
        if w.alive or m.orphaned[i]:
            m = m.haunted("given away for silence")
        return recovered(world, s, m, owner=m.holder, blamed=False)

    return s._replace(messages=tuple(moved(m) for m in s.messages))


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
    if m.holder not in NOW:
        return False
    w = s.workers[NOW.index(m.holder)]
    return w.able and not w.doubt
