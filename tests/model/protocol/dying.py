"""How processes, containers and pods end, freeze and start again."""

from __future__ import annotations

from collections.abc import Iterator

from protocol.connection import answered
from protocol.holdings import recovered
from protocol.state import BEFORE, NOW, Message, State, Worker, letter
from protocol.world import Move, World


def main_process_dies(world: World, s: State) -> Iterator[Move]:
    """At any point. Its memory is gone, its connections are closed by the kernel."""
    if s.luck.crashes:
        for i, w in enumerate(s.workers):
            if w.alive:
                yield (
                    f"the main process of {NOW[i]} dies",
                    died(s.spend("crashes"), i, orphans=world.children_outlive, blamed=True),
                )


def is_evicted(world: World, s: State) -> Iterator[Move]:
    """The node ends the whole container, and the pod is started again elsewhere."""
    if s.luck.evictions:
        for i, w in enumerate(s.workers):
            if w.alive:
                after = died(s.spend("evictions"), i, orphans=False, blamed=False)
                yield f"{NOW[i]} is evicted", container_ended(after, i)


def poison_works(world: World, s: State) -> Iterator[Move]:
    """The kernel ends the whole container for want of memory."""
    for i, w in enumerate(s.workers):
        if w.process == "up" and any(
            m.kind == "poison" and m.memory[i] == "running" for m in s.messages
        ):
            after = died(s, i, orphans=False, blamed=True)
            yield f"{NOW[i]} is ended by what it runs", container_ended(after, i)


def process_of_the_pool_dies(world: World, s: State) -> Iterator[Move]:
    """Its main process hears of it, counts that against what it ran, and gives it back. Where
    the broker cannot be told, it goes back later, and uncounted."""
    if not world.pool_processes_die:
        return
    for i, w in enumerate(s.workers):
        for k, m in enumerate(s.messages):
            if w.process != "up" or m.memory[i] != "running" or m.kind != "poison":
                continue
            sentence = f"a process of {NOW[i]}'s pool is ended by {letter(k)}"
            unsent = m.in_memory(i, "reserved")
            if not w.connected:
                yield sentence, s.message(k, unsent)
                continue
            told = m
            if m.holder == NOW[i]:
                told = recovered(world, s, m, owner=NOW[i], blamed=True)
            yield from answered(
                world,
                i,
                sentence,
                s.message(k, told.in_memory(i, "reserved")),
                s.message(k, told.in_memory(i, "")),
            )


def died(s: State, worker: int, *, orphans: bool, blamed: bool) -> State:
    """The world after the end of a main process: what it held is its predecessor's now."""
    s = s._replace(messages=tuple(_bereaved(m, worker, orphans) for m in s.messages))
    w = s.workers[worker]
    return s.worker(
        worker,
        **Worker(
            process="dead",
            told_to_go=w.told_to_go,
            unwatched=w.unwatched,
            blamed=blamed,
            late=w.late,
        )._asdict(),
    )


def _bereaved(m: Message, worker: int, orphans: bool) -> Message:
    memory = m.memory[worker]
    if memory in ("socket", "owed"):
        m = m.haunted("was in a socket")
    if memory == "running" and orphans:
        m = m.with_orphan(worker, True)
    if memory:
        m = m.in_memory(worker, "")
    if m.holder == NOW[worker]:
        m = m._replace(holder=BEFORE[worker])
    if NOW[worker] in m.claims:
        m = m._replace(claims=m.claims - {NOW[worker]} | {BEFORE[worker]})
    return m


def container_ends(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        if w.process == "dead":
            yield f"the container of {NOW[i]} has ended", container_ended(s, i)


def container_ended(s: State, worker: int) -> State:
    """Nothing runs in it any more. The kubelet says so, to whoever watches the pod: a pod
    that starts again keeps the word, one that is on its way out takes it along."""
    w = s.workers[worker]
    heard = not w.unwatched and (not w.told_to_go or s.led)
    s = s._replace(messages=tuple(m.with_orphan(worker, False) for m in s.messages))
    return s.worker(worker, process="ended", proven=heard)


def container_starts_again(world: World, s: State) -> Iterator[Move]:
    """A new incarnation in the same pod. It looks at what its predecessor left first."""
    for i, w in enumerate(s.workers):
        if w.process == "ended" and not w.told_to_go and not w.unwatched:
            looks = world.take == "atomic" and world.rules.settles_after_silence
            yield (
                f"a new incarnation of {NOW[i]} starts",
                s.worker(
                    i,
                    process="up",
                    mode="consuming",
                    proven=True,
                    fresh=looks,
                    connected=True,
                    late=False,
                ),
            )


def pod_is_gone(world: World, s: State) -> Iterator[Move]:
    """A pod that ended on its way out, when nothing is held in its name any more."""
    for i, w in enumerate(s.workers):
        if w.process == "ended" and (w.told_to_go or w.unwatched):
            left = any(m.holder == BEFORE[i] for m in s.messages)
            if not left:
                yield f"the pod of {NOW[i]} is gone", s.worker(i, **Worker("gone")._asdict())


def pod_object_is_deleted(world: World, s: State) -> Iterator[Move]:
    """By force: the container goes on, with a kubelet that lives until that ends it."""
    if s.luck.force_deletions:
        for i, w in enumerate(s.workers):
            if w.alive and not w.unwatched:
                yield (
                    f"the Pod object of {NOW[i]} is deleted by force",
                    s.spend("force_deletions").worker(
                        i, unwatched=True, told_to_go=True, signalled=True
                    ),
                )


def kubelet_ends_a_deleted_pod(world: World, s: State) -> Iterator[Move]:
    for i, w in enumerate(s.workers):
        if w.alive and w.unwatched:
            after = died(s, i, orphans=False, blamed=False)
            yield f"the kubelet ends the container of {NOW[i]}", container_ended(after, i)


def freezes(world: World, s: State) -> Iterator[Move]:
    if s.luck.freezes:
        for i, w in enumerate(s.workers):
            if w.process == "up":
                yield f"{NOW[i]} freezes", s.spend("freezes").worker(i, process="frozen")


def thaws(world: World, s: State) -> Iterator[Move]:
    """It sees by its monotonic clock that it was away."""
    for i, w in enumerate(s.workers):
        if w.process == "frozen":
            yield (
                f"{NOW[i]} thaws",
                s.worker(i, process="up", doubt=w.doubt or world.rules.settles_after_silence),
            )
