"""Messages with an ETA: time passes, far ones are parked, and come back when they are due."""

from __future__ import annotations

from collections.abc import Iterator

from protocol.connection import answered
from protocol.state import NOBODY, NOW, State, letter
from protocol.working import is_own
from protocol.world import Move, World


def comes_due(world: World, s: State) -> Iterator[Move]:
    """Also for a worker that holds it: it takes a slot now, free or not."""
    for k, m in enumerate(s.messages):
        if m.future and m.published:
            memory = tuple("reserved" if mine == "waiting" else mine for mine in m.memory)
            yield f"{letter(k)} comes due", s.message(k, m._replace(future=False, memory=memory))


def parks(world: World, s: State) -> Iterator[Move]:
    """One script moves it from ``unacked`` and the holdings to the parked ones, while
    somebody stands by to start a worker for it."""
    if world.take != "atomic" or not world.rules.parks_the_future:
        return
    for i, w in enumerate(s.workers):
        for k, m in enumerate(s.messages):
            if m.memory[i] != "waiting" or not w.able or w.mode != "consuming":
                continue
            if world.rules.parks_while_stood_by and not s.stood_by:
                continue
            if is_own(world, m, i):
                m = m._replace(holder=NOBODY, claims=frozenset(), parked=True)
                m = m if s.stood_by else m.haunted("parked while nobody stood by")
            yield from answered(
                world,
                i,
                f"{NOW[i]} parks {letter(k)}",
                s.message(k, m),
                s.message(k, m.in_memory(i, "")),
            )


def releases(world: World, s: State) -> Iterator[Move]:
    """By the operator or any worker of that queue, whoever comes first."""
    if not s.led and not any(w.able for w in s.workers):
        return
    for k, m in enumerate(s.messages):
        if not m.parked or m.future:
            continue
        if world.rules.release_is_one_script:
            released = m._replace(parked=False, queued=m.queued + 1)
            yield f"somebody releases {letter(k)}", s.message(k, released)
            continue
        if m.queued < 2:
            yield (
                f"somebody pushes {letter(k)}, which is parked and due",
                s.message(k, m._replace(queued=m.queued + 1)),
            )
        if m.queued:
            yield (
                f"somebody clears {letter(k)} from the parked ones",
                s.message(k, m._replace(parked=False)),
            )
