"""From a taken message to an acknowledged one."""

from __future__ import annotations

from collections.abc import Iterator

from protocol.connection import answered
from protocol.state import NOBODY, NOW, Message, State, letter
from protocol.taking import must_make_room
from protocol.world import Move, World


def is_own(world: World, message: Message, worker: int) -> bool:
    """Whether a worker's script finds the message to be its own."""
    if world.rules.receipts:
        return message.holder == NOW[worker]
    return message.holder != NOBODY


def publishes(world: World, s: State) -> Iterator[Move]:
    for k, m in enumerate(s.messages):
        if not m.published:
            yield f"{letter(k)} is published", s.message(k, m._replace(published=True, queued=1))


def starts(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        if w.process != "up" or w.doubt or s.running(i) >= world.slots:
            continue
        for k, m in enumerate(s.messages):
            if m.memory[i] != "reserved" or must_make_room(world, s, i, m):
                continue
            if m.holder != NOW[i] and "restored from a plain worker" not in m.ghosts:
                m = m.haunted("started by one that it was taken from")
            yield f"{NOW[i]} starts {letter(k)}", s.message(k, m.in_memory(i, "running"))


def finishes(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        for k, m in enumerate(s.messages):
            if m.memory[i] == "running" and w.process == "up" and m.kind != "poison":
                yield f"{NOW[i]} finishes {letter(k)}", s.message(k, m.in_memory(i, "finished"))
            if m.orphaned[i]:
                yield (
                    f"the child that {NOW[i]} left behind finishes {letter(k)}",
                    s.message(k, m.with_orphan(i, False)),
                )


def leaves_its_result(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        for k, m in enumerate(s.messages):
            if world.results and m.memory[i] == "finished" and not m.marked and w.able:
                yield f"the result of {letter(k)} is stored", s.message(k, m._replace(marked=True))


def acknowledges(world: World, s: State) -> Iterator[Move]:
    """By script where the take was one; it finds out whether the message is still its own."""
    for i, w in enumerate(s.workers):
        for k, m in enumerate(s.messages):
            if m.memory[i] != "finished" or not w.able or (world.results and not m.marked):
                continue
            if is_own(world, m, i):
                m = m._replace(holder=NOBODY, claims=frozenset(), acked=True)
                sentence = f"{NOW[i]} acknowledges {letter(k)}"
            else:
                sentence = f"{NOW[i]} finds that {letter(k)} is not its own any more"
            yield from answered(
                world, i, sentence, s.message(k, m), s.message(k, m.in_memory(i, ""))
            )
