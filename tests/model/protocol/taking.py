"""How a worker comes to have a message: kombu's way, and by one script.

kombu's way has three moments: a BRPOP waits at the server, its reply lies in the
worker's socket, and only then a MULTI writes the message into ``unacked``. Between the
first and the last it is in nothing that outlives the process or its connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.connection import answered
from protocol.state import NOW, Message, State, letter
from protocol.world import Move, World


def wants_more(world: World, s: State, worker: int) -> bool:
    """Whether a worker may ask for a message now."""
    w = s.workers[worker]
    return w.able and w.mode == "consuming" and not w.doubt and s.slots_taken(worker) < world.slots


def taken(world: World, message: Message, worker: int) -> Message:
    """The message as ``unacked`` has it after this worker's take. Without a receipt, that is
    under the published tag alone, earlier takers can still name it as theirs."""
    claims = message.claims if world.rules.receipts else message.claims | {NOW[worker]}
    return message._replace(holder=NOW[worker], claims=claims)


def remembered(message: Message, worker: int) -> Message:
    """The message as the worker then has it in memory."""
    return message.in_memory(worker, "waiting" if message.future else "reserved")


# kombu's take.


def asks(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        if world.take == "kombu" and not w.polling and wants_more(world, s, i):
            yield f"{NOW[i]} sends BRPOP", s.worker(i, polling=True)


def answers(world: World, s: State) -> Iterator[Move]:
    """The server pops for whoever asked, however the asker fares by now."""
    for i, w in enumerate(s.workers):
        if not w.polling:
            continue
        for k, m in enumerate(s.messages):
            if m.queued:
                yield (
                    f"the server pops {letter(k)} and sends it to {NOW[i]}",
                    s.worker(i, polling=False).message(
                        k, m._replace(queued=m.queued - 1).in_memory(i, "socket")
                    ),
                )


def answers_with_nothing(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        if w.polling:
            yield f"the BRPOP of {NOW[i]} ends with nothing", s.worker(i, polling=False)


def reads(world: World, s: State) -> Iterator[Move]:
    """The reply is read and written into ``unacked``, or, late, kept to be pushed back."""
    for i, w in enumerate(s.workers):
        if not w.able:
            continue
        for k, m in enumerate(s.messages):
            if m.memory[i] != "socket":
                continue
            late = w.mode != "consuming" or s.slots_taken(i) >= world.slots
            if late and not world.rules.late_replies_are_read:
                continue
            if late:
                yield (
                    f"{NOW[i]} reads {letter(k)} only to push it back",
                    s.message(k, m.in_memory(i, "owed")),
                )
                continue
            m = taken(world, m, i)
            yield from answered(
                world,
                i,
                f"{NOW[i]} reads {letter(k)} and writes it into unacked",
                s.message(k, m),
                s.message(k, remembered(m, i)),
            )


def pushes_back(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        for k, m in enumerate(s.messages):
            if m.memory[i] == "owed" and w.able:
                m = m._replace(queued=m.queued + 1)
                known = m.in_memory(i, "")
                # With the mark, asking for it once more does nothing, whatever was heard.
                done = known if world.rules.late_replies_are_pushed_once else m
                yield from answered(
                    world,
                    i,
                    f"{NOW[i]} pushes {letter(k)} back",
                    s.message(k, done),
                    s.message(k, known),
                )


# The atomic take.


def takes(world: World, s: State) -> Iterator[Move]:
    """RPOP, ZADD, HSET and the holdings in one script, only with a free slot."""
    for i in range(len(s.workers)):
        if world.take != "atomic" or not wants_more(world, s, i):
            continue
        for k, m in enumerate(s.messages):
            if not m.queued or not _may_run_beside_others(world, s, i, m):
                continue
            m = m._replace(queued=m.queued - 1)
            if m.marked and world.rules.finished_is_told:
                yield (
                    f"{NOW[i]}'s take finds that {letter(k)} has finished, and acknowledges it",
                    s.message(k, m._replace(acked=True)),
                )
                continue
            if m.marked:
                m = m.haunted("given out though known to have finished")
            m = taken(world, m, i)
            yield from answered(
                world,
                i,
                f"{NOW[i]} takes {letter(k)}",
                s.message(k, m),
                s.message(k, remembered(m, i)),
            )


def _may_run_beside_others(world: World, s: State, worker: int, message: Message) -> bool:
    """A suspect is taken only by an empty worker, and nothing is taken beside it."""
    if not world.rules.suspects_run_alone:
        return True
    held = [m for m in s.messages if m.memory[worker]]
    if message.deaths >= world.max_deliveries - 1:
        return not held
    return all(m.deaths < world.max_deliveries - 1 for m in held)
