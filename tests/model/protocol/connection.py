"""Lost connections: between any two steps, and between a command and its answer.

Every command of a worker goes through ``answered``, so none of them is ever assumed to
be known to have worked: the server may have carried it out, and the worker not know.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.state import NOBODY, NOW, UNSTARTED, Message, State
from protocol.world import Move, World


def answered(world: World, worker: int, sentence: str, done: State, known: State) -> Iterator[Move]:
    """A command of a worker: with its answer, or with the connection lost before it.

    Args:
        done: Redis has carried it out, the worker does not know.
        known: the worker knows, too.
    """
    yield sentence, known
    if done.luck.cuts:
        yield f"{sentence}, and loses its connection before the answer", cut(world, done, worker)


def cut(world: World, s: State, worker: int) -> State:
    """Celery drops its channel: what was not started is forgotten, what runs goes on."""
    s = s.spend("cuts").worker(
        worker,
        connected=False,
        polling=False,
        doubt=world.rules.settles_after_silence,
        # What its predecessor held is then left to others.
        fresh=False,
    )
    return s._replace(messages=tuple(_after_a_cut(world, m, worker) for m in s.messages))


def _after_a_cut(world: World, m: Message, worker: int) -> Message:
    memory = m.memory[worker]
    if memory == "socket":
        return m.in_memory(worker, "").haunted("was in a socket")
    if memory in UNSTARTED:
        m = m.in_memory(worker, "")
    if not world.rules.runs_survive_a_cut and m.holder == NOW[worker]:
        # The old channel is closed on a new connection and restores all that it held.
        m = m._replace(queued=m.queued + 1, holder=NOBODY)
    return m


def connection_is_lost(world: World, s: State) -> Iterator[Move]:
    if s.luck.cuts:
        for i, w in enumerate(s.workers):
            if w.able:
                yield f"{NOW[i]} loses its connection to Redis", cut(world, s, i)


def reconnects(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        if w.process == "up" and not w.connected:
            yield f"{NOW[i]} is connected again", s.worker(i, connected=True)
