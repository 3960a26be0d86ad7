"""Ours: the production ``decide``, called when and with what the operator would.

A tick every two seconds while the fleet has workers or work, every ten at rest; at once
when a message comes to an empty queue that nobody consumes, when a worker came, and at
the moment that a decision named. Each call is given a real ``Observation``, and what it
orders is carried out as ``act`` does: leases first, then the number.
"""

from __future__ import annotations

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide
from sluiceway.decide.attention import at_rest, could_act
from sluiceway.decide.decision import Decision
from sluiceway.decide.history import History
from sluiceway.decide.observation import Observation, QueueView
from sluiceway.simulate.run import Attention, Change
from sluiceway.simulate.world import World

BUSY_TICK_S = 2.0
IDLE_TICK_S = 10.0
SHORTEST_S = 0.05
"""Between two looks that decisions asked for."""

MONDAY = 1_767_571_200.0
"""A Monday, 00:00 UTC: when a trace begins unless said otherwise. Schedules depend on it."""


class Sluiceway:
    """The policy that this project ships."""

    def __init__(
        self,
        spec: TaskQueueSpec,
        *,
        name: str = "sluiceway",
        begins_at: float = MONDAY,
        tick_s: float = BUSY_TICK_S,
    ) -> None:
        """A fresh start.

        Args:
            begins_at: the time of day at the trace's start, Unix seconds.
            tick_s: between two ticks of a fleet that is not at rest.
        """
        self.name = name
        self._spec = spec
        self._begins_at = begins_at
        self._tick_s = tick_s
        self._history = History()
        self._last: Decision | None = None
        self._changes: list[Change] = []

    def look(self, world: World) -> Attention:
        """One tick: observe, decide, act."""
        observation = observe(world, self._begins_at)
        decision = decide(self._spec, observation, self._history, observation.at)
        self._history = decision.history
        self._keep(decision, world.now)
        world.drain(decision.drain)
        if decision.replicas != world.replicas or decision.remove:
            world.scale(decision.replicas, decision.remove)
        resting = at_rest(observation, decision)
        due = world.now + (max(IDLE_TICK_S, self._tick_s) if resting else self._tick_s)
        if decision.wake_at is not None:
            asked = max(decision.wake_at - self._begins_at, world.now + SHORTEST_S)
            due = min(due, asked)
        return Attention(
            at=due,
            on_message=could_act(self._spec, observation, decision),
            on_worker=True,
        )

    def changes(self) -> list[Change]:
        """Each decision with another number or another reason than the one before."""
        return self._changes

    def _keep(self, decision: Decision, now: float) -> None:
        last = self._last
        if (
            last is None
            or decision.replicas != decision.current
            or decision.reason is not last.reason
        ):
            self._changes.append(
                Change(
                    at=now,
                    before=decision.current,
                    replicas=decision.replicas,
                    reason=decision.reason.value,
                    sentence=decision.sentence,
                )
            )
        self._last = decision


def observe(world: World, begins_at: float) -> Observation:
    """What the operator would see of ``world``: queue and heartbeats, nothing else."""
    began, names = world.began, world.trace.names
    return Observation(
        at=begins_at + world.now,
        queues=(
            QueueView(name="queue", length=len(world.waiting), oldest_wait_s=world.oldest_wait_s),
        ),
        workers=tuple(w.view(world.now, began, names) for w in world.workers.values()),
        replicas=world.replicas,
    )
