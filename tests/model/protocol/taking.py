"""How a worker comes to have a message: kombu's way, and by one script.

kombu's way has three moments: a BRPOP waits at the server, its reply lies in the
worker's socket, and only then a MULTI writes the message into ``unacked``. Between the
first and the last it is in nothing that outlives the process or its connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.connection import answered, cut
from protocol.state import BEFORE, NOW, SLOT_TAKERS, Message, State, letter
from protocol.world import Move, World


def wants_more(world: World, s: State, worker: int) -> bool:
    """Whether a worker may ask for a message now."""
    w = s.workers[worker]
    sure = w.able and not w.doubt and not w.fresh
    return sure and w.mode == "consuming" and s.slots_taken(worker) < world.slots


def taken(world: World, message: Message, worker: int) -> Message:
    """The message as ``unacked`` has it after this worker's take. Without a receipt, that is
    under the published tag alone, earlier takers can still name it as theirs, and so can
    those who have read it in their holdings."""
    if world.rules.receipts:
        return message._replace(holder=NOW[worker], listed=frozenset())
    return message._replace(holder=NOW[worker], claims=message.claims | {NOW[worker]})


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
    """RPOP, ZADD, HSET and the holdings in one script, only with a free slot. What came back
    and is known to have finished is not started: there is only to acknowledge it."""
    for i in range(len(s.workers)):
        if world.take != "atomic" or not wants_more(world, s, i) or _runs_a_suspect(world, s, i):
            continue
        for k, m in enumerate(s.messages):
            if not m.queued:
                continue
            aside = world.rules.suspects_run_alone and is_suspect(world, m) and _at_work(s, i)
            if aside and world.rules.suspects_stay_in_their_list:
                continue
            m = taken(world, m._replace(queued=m.queued - 1), i)
            over = m.marked and world.rules.finished_is_told
            if m.marked and not over:
                m = m.haunted("taken to be run though known to have finished")
            known = m.in_memory(i, "finished") if over else remembered(m, i)
            yield from answered(
                world,
                i,
                f"{NOW[i]} takes {letter(k)}" + ", only to put it back" * aside,
                s.message(k, m),
                s.message(k, m.in_memory(i, "aside") if aside else known),
            )
        if s.luck.cuts and not s.workers[i].late:
            yield (
                f"{NOW[i]} sends a take, and loses its connection while that is under way",
                cut(world, s, i).worker(i, late=True),
            )


def late_take_arrives(world: World, s: State) -> Iterator[Move]:
    """At the server, over a connection that its worker has given up."""
    for i, w in enumerate(s.workers):
        if not w.late:
            continue
        for k, m in enumerate(s.messages):
            if m.queued:
                m = taken(world, m._replace(queued=m.queued - 1), i)
                m = m if w.alive else m._replace(holder=BEFORE[i])
                yield (
                    f"a take that {NOW[i]} had sent arrives late, and takes {letter(k)}",
                    s.worker(i, late=False).message(k, m),
                )


def is_suspect(world: World, message: Message) -> bool:
    """Whether its next death would make it a dead letter."""
    return message.deaths >= world.max_deliveries - 1


def _at_work(s: State, worker: int) -> bool:
    """What is only held for its ETA is no work."""
    return bool(s.slots_taken(worker))


def _runs_a_suspect(world: World, s: State, worker: int) -> bool:
    return world.rules.suspects_run_alone and any(
        m.memory[worker] and is_suspect(world, m) for m in s.messages
    )


def must_make_room(world: World, s: State, worker: int, message: Message) -> bool:
    """Whether it may not start here now, because a suspect is here that runs alone."""
    return world.rules.suspects_run_alone and any(
        m is not message and m.memory[worker] in SLOT_TAKERS and is_suspect(world, m)
        for m in s.messages
    )
