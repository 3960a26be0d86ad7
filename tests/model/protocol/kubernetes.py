"""What Kubernetes does with the replicas that it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from protocol.leading import is_lowering, standing
from protocol.state import NOW, State, Worker
from protocol.world import Move, World


def tells_a_pod_to_go(world: World, s: State) -> Iterator[Move]:
    """Deletion costs are a wish: it may be any pod."""
    if is_lowering(s):
        for i, w in enumerate(s.workers):
            if w.standing:
                after = s.worker(i, told_to_go=True, signalled=w.alive)
                yield f"Kubernetes tells {NOW[i]} to go", after


def starts_a_pod(world: World, s: State) -> Iterator[Move]:
    if standing(s) < s.replicas:
        for i, w in enumerate(s.workers):
            if w.process == "gone":
                yield f"Kubernetes starts a pod for {NOW[i]}", s.worker(i, **Worker()._asdict())
