"""How closely a fleet is to be watched after a decision.

Whoever calls ``decide`` again and again asks here how soon: reconcile for real fleets,
the simulator for those that it plays.
"""

from __future__ import annotations

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide.decision import Decision
from sluiceway.decide.observation import Observation, WorkerState


def at_rest(observation: Observation, decision: Decision) -> bool:
    """Nothing waits, nobody works, and nobody is about to."""
    return (
        observation.known
        and not observation.workers
        and decision.replicas == decision.desired == 0
        and all(queue.length == 0 for queue in observation.queues)
    )


def could_act(spec: TaskQueueSpec, observation: Observation, decision: Decision) -> bool:
    """Whether a message in its empty queues would be news that changes something.

    Where a worker consumes it is taken at once, and being woken would cost a read
    for every message. A fleet that is held or at its maximum cannot act on it.
    """
    return (
        not spec.scaling.paused
        and decision.desired < spec.scaling.max_replicas
        and all(queue.length == 0 for queue in observation.queues)
        and all(worker.state is not WorkerState.CONSUMING for worker in observation.workers)
    )


def may_park(spec: TaskQueueSpec) -> bool:
    """Whether its workers may move aside what is far ahead: it will be started in time.

    A fleet that is paused at none would not be.
    """
    return not spec.scaling.paused and spec.worker.agent != "none"
