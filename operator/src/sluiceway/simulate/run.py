"""One policy steering one world from the trace's start to its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sluiceway.simulate.trace import Trace
from sluiceway.simulate.world import Plant, World


@dataclass(frozen=True, kw_only=True, slots=True)
class Attention:
    """When a policy wants to look next."""

    at: float
    """At the latest, seconds of the trace."""
    on_message: bool = False
    """Also when a message comes to the empty queue and nobody takes it."""
    on_worker: bool = False
    """Also when a worker came or went."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A decision that differs from the one before it."""

    at: float
    """Seconds of the trace."""
    before: int
    """Workers that were asked for."""
    replicas: int
    """Workers that are asked for now."""
    reason: str
    sentence: str


class Policy(Protocol):
    """A rule for the number of workers."""

    name: str

    def look(self, world: World) -> Attention:
        """Look at the world, give orders, and say when to look again."""

    def changes(self) -> list[Change]:
        """What it decided, as far as it was news; empty where it keeps no account."""


@dataclass(kw_only=True, slots=True)
class Run:
    """What came of it."""

    policy: str
    trace: Trace
    plant: Plant
    starts: list[float]
    """When each task started, seconds; nan: never."""
    sizes: list[tuple[float, int]]
    """(seconds, workers that exist) at each change."""
    worker_s: float
    """Seconds that workers existed, cold start included, up to ``end_s``."""
    end_s: float
    """The trace's end, or that of the last task where it is later."""
    actions: int = 0
    """How often another number of workers was asked for."""
    cut: int = 0
    """Runs that were cut short."""
    looks: int = 0
    """How often the policy looked."""
    changes: list[Change] = field(default_factory=list)

    def waits(self) -> list[float]:
        """How long each task waited, seconds; one that never started, to the end."""
        return [
            (start if start == start else self.end_s) - arrived
            for start, arrived in zip(self.starts, self.trace.arrivals, strict=True)
        ]


_STUCK_S = 7200.0
"""A world in which nothing ended for so long beyond the trace's end is given up, or for
as long as the longest task where that is longer."""


def simulate(trace: Trace, plant: Plant, policy: Policy) -> Run:
    """Play ``trace`` under ``policy``. The same arguments give the same run."""
    world = World(trace, plant)
    patience = _STUCK_S + max(trace.runs, default=0.0) + plant.redelivery_s
    actions = looks = 0
    while True:
        before = world.replicas
        attention = policy.look(world)
        actions += world.replicas != before
        looks += 1
        if world.done and world.now >= trace.span_s:
            break
        if world.now > max(trace.span_s, world.last_end) + patience:
            break
        until = attention.at
        if world.done:
            until = min(until, trace.span_s)
        world.advance(until, on_message=attention.on_message, on_worker=attention.on_worker)
    end = max(trace.span_s, world.last_end) if world.done else world.now
    return Run(
        policy=policy.name,
        trace=trace,
        plant=plant,
        starts=world.started,
        sizes=world.sizes,
        worker_s=world.worker_seconds(end),
        end_s=end,
        actions=actions,
        cut=world.cut,
        looks=looks,
        changes=policy.changes(),
    )
