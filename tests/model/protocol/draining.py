"""Draining by lease, recall, and SIGTERM, as the worker does them."""

from __future__ import annotations

from collections.abc import Iterator

from protocol.connection import answered
from protocol.dying import container_ended, died
from protocol.holdings import put_back
from protocol.state import NOW, UNSTARTED, State, Worker, letter
from protocol.taking import must_make_room
from protocol.working import is_own
from protocol.world import Move, World


def sees_the_lease(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        if w.able and w.leased and w.mode == "consuming":
            yield f"{NOW[i]} sees a drain lease and takes no more", s.worker(i, mode="draining")


def sees_no_lease(world: World, s: State) -> Iterator[Move]:
    """Withdrawn or run out; without a connection the worker's own clock says the same."""
    for i, w in enumerate(s.workers):
        if w.process != "up" or w.leased:
            continue
        if w.mode in ("draining", "drained"):
            yield f"{NOW[i]} sees no lease any more and consumes", s.worker(i, mode="consuming")
        elif w.mode == "stopping" and not world.rules.stopping_is_final:
            yield (
                f"{NOW[i]} sees no lease any more and consumes, though told to stop",
                s.worker(i, mode="consuming"),
            )


def lease_ends(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        if w.leased and world.rules.leases_end:
            yield f"the lease of {NOW[i]} ends", s.worker(i, leased=False)


def is_told_to_stop(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        if w.signalled and w.process == "up":
            yield f"{NOW[i]} gets SIGTERM", s.worker(i, mode="stopping", signalled=False)


def gives_back(world: World, s: State) -> Iterator[Move]:
    """What was taken and not started returns to the head of its list."""
    for i, w in enumerate(s.workers):
        if not w.able:
            continue
        withdraws = w.doubt or w.mode in ("draining", "stopping")
        for k, m in enumerate(s.messages):
            if m.memory[i] not in UNSTARTED:
                continue
            overfull = m.memory[i] == "reserved" and s.slots_taken(i) > world.slots
            crowds = m.memory[i] == "reserved" and must_make_room(world, s, i, m)
            if not (withdraws or overfull or crowds or m.memory[i] == "aside"):
                continue
            if is_own(world, m, i):
                m = put_back(s, m, by=NOW[i])
                sentence = f"{NOW[i]} gives {letter(k)} back"
            else:
                sentence = f"{NOW[i]} drops {letter(k)}, which is not its own any more"
            yield from answered(
                world, i, sentence, s.message(k, m), s.message(k, m.in_memory(i, ""))
            )


def says_drained(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        if w.mode != "draining" or not w.able or w.doubt or w.fresh:
            continue
        if world.rules.drained_waits_for_the_reply:
            empty = s.empty_handed(i)
        else:
            empty = all(m.memory[i] in ("", "socket") for m in s.messages)
        if empty:
            yield f"{NOW[i]} says «drained»", s.worker(i, mode="drained")


def exits(world: World, s: State) -> Iterator[Move]:
    """One that takes by script also in doubt of what Redis has in its name: it is over then,
    and the kubelet will say so."""
    for i, w in enumerate(s.workers):
        sure = w.able and not w.doubt
        if w.mode != "stopping" or w.process != "up" or w.fresh or not s.empty_handed(i):
            continue
        if world.take == "kombu" and not sure:
            continue
        if any(m.holder == NOW[i] for m in s.messages):
            after = container_ended(died(s, i, orphans=False, blamed=False), i)
        else:
            after = s.worker(i, **Worker("gone")._asdict())
        yield f"{NOW[i]} exits", after
