"""KEDA's ScaledObject with the Redis lists scaler, and the HPA that KEDA makes for it.

KEDA polls the list for the steps between 0 and 1 alone; between 1 and the maximum the HPA
asks for the list's length at each of its syncs. Neither sees what runs: the length of the
list is all that they are told. A pod that has to go is whichever Kubernetes takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from sluiceway.api.scaling import Behavior, ScalingPolicy, ScalingRules
from sluiceway.simulate.hpa_controller import SYNC_S, Hpa
from sluiceway.simulate.run import Attention, Change
from sluiceway.simulate.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaledObject:
    """What is written; the defaults are KEDA's."""

    low: int = 0
    """minReplicaCount."""
    high: int = 100
    """maxReplicaCount."""
    list_length: int = 5
    """Waiting messages that each worker is to have (listLength)."""
    activation: int = 0
    """More than so many wake the fleet from zero (activationListLength)."""
    polling_s: float = 30.0
    cooldown_s: float = 300.0
    behavior: Behavior | None = None
    """The HPA's block; None: none is written."""


TUNED_BEHAVIOR = Behavior(
    scale_up=ScalingRules(
        stabilization_window_seconds=0,
        policies=(ScalingPolicy(type="Percent", value=900, period_seconds=15),),
        tolerance="0",
    ),
    scale_down=ScalingRules(stabilization_window_seconds=60, tolerance="0"),
)
"""What a team writes that has met the defaults: up tenfold at once, down after a minute."""


class Keda:
    """The two of them as one policy."""

    def __init__(self, scaled: ScaledObject, *, name: str = "keda") -> None:
        self.name = name
        self.scaled = scaled
        self._hpa = Hpa(
            low=max(1, scaled.low),
            high=scaled.high,
            per_replica=float(scaled.list_length),
            behavior=scaled.behavior,
        )
        self._polls_at = 0.0
        self._syncs_at = 0.0
        self._last_active = float("-inf")
        self._changes: list[Change] = []

    def look(self, world: World) -> Attention:
        """Poll, sync, or both, whichever is due."""
        if world.now >= self._polls_at:
            self._polls_at += self.scaled.polling_s
            self._poll(world)
        if world.now >= self._syncs_at:
            self._syncs_at += SYNC_S
            length = len(world.waiting)
            wanted = self._hpa.sync(world.now, world.replicas, float(length))
            self._scale(world, wanted, "HPA", f"{length} waiting, listLength")
        return Attention(at=min(self._polls_at, self._syncs_at))

    def changes(self) -> list[Change]:
        """Each change of the number."""
        return self._changes

    def _poll(self, world: World) -> None:
        scaled, length = self.scaled, len(world.waiting)
        if length > scaled.activation:
            self._last_active = world.now
            if world.replicas == 0:
                self._scale(world, max(1, scaled.low), "Activated", f"{length} waiting, above")
        elif world.replicas < scaled.low:
            self._scale(world, scaled.low, "Minimum", "minReplicaCount")
        elif (
            world.replicas > 0
            and scaled.low == 0
            and self._last_active + scaled.cooldown_s < world.now
        ):
            self._scale(world, 0, "Cooldown", f"no more than {scaled.activation} waiting for")

    def _scale(self, world: World, replicas: int, reason: str, because: str) -> None:
        if replicas == world.replicas:
            return
        figures = {
            "HPA": f" {self.scaled.list_length}",
            "Activated": f" {self.scaled.activation}",
            "Cooldown": f" {self.scaled.cooldown_s:.0f} s",
        }
        self._changes.append(
            Change(
                at=world.now,
                before=world.replicas,
                replicas=replicas,
                reason=reason,
                sentence=f"{replicas} workers: {because}{figures.get(reason, '')}.",
            )
        )
        world.scale(replicas)
