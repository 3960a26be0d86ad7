"""A worker on kombu's own transport that serves the same queue. It knows no rule of ours:
it takes by tag, and acknowledges by tag, whoever stands in ``unacked`` by then."""

from __future__ import annotations

from collections.abc import Iterator

from protocol.state import BESIDE, NOBODY, State, letter
from protocol.world import Move, World


def plain_worker_takes(world: World, s: State) -> Iterator[Move]:
    if not world.beside or any(m.beside for m in s.messages):
        return
    for k, m in enumerate(s.messages):
        if m.queued and not m.future:
            m = m._replace(queued=m.queued - 1, holder=BESIDE, beside=True)
            yield f"the plain worker takes {letter(k)}", s.message(k, m)


def plain_worker_finishes(world: World, s: State) -> Iterator[Move]:
    for k, m in enumerate(s.messages):
        if m.beside:
            m = m._replace(beside=False, holder=NOBODY, acked=True)
            yield f"the plain worker finishes and acknowledges {letter(k)}", s.message(k, m)
