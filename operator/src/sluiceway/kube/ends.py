"""What the kubelet says of containers that have ended: the proof that a worker is dead. Pure.

Only the kubelet's word for a container counts. A Pod object that was deleted proves
nothing, nor does a phase that somebody else set because a node was not heard.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator

from sluiceway.broker.holders import Cause, End
from sluiceway.kube.views import ContainerStatus, Pod, Terminated
from sluiceway.workload.slots import WORKER

_UNSEEN = "ContainerStatusUnknown"
"""The kubelet could not find the container: nobody saw it end."""
_MACHINE = "Unknown"
"""So containerd calls what it finds gone when it starts, mostly with its machine."""


def ends_of(pod: Pod) -> tuple[End, ...]:
    """The ends of a pod's worker that this object tells of: the last two at most."""
    worker = _worker(pod.status.container_statuses)
    if worker is None:
        return ()
    return tuple(_ends(pod, worker))


def runs(pod: Pod) -> bool:
    """Whether the worker's container runs, as far as this object tells."""
    worker = _worker(pod.status.container_statuses)
    return worker is not None and worker.state.terminated is None and worker.state.waiting is None


def _ends(pod: Pod, worker: ContainerStatus) -> Iterator[End]:
    for state, is_last in ((worker.last_state, False), (worker.state, True)):
        over = state.terminated
        if over is None or over.finished_at is None or over.reason == _UNSEEN:
            continue
        cause, reason = _why(pod, over, is_last=is_last)
        yield End(
            worker=pod.metadata.name,
            cause=cause,
            reason=reason,
            before=over.finished_at.timestamp(),
        )


def _worker(containers: Iterable[ContainerStatus]) -> ContainerStatus | None:
    """Ours is named; of a pod that a team brought along it is known where there is but one."""
    them = list(containers)
    named = [one for one in them if one.name == WORKER]
    if named:
        return named[0]
    return them[0] if len(them) == 1 else None


def _why(pod: Pod, over: Terminated, *, is_last: bool) -> tuple[Cause, str]:
    # A container runtime calls so also one that outlived a process of its own, and ended in order.
    if over.reason == "OOMKilled" and over.exit_code != 0:
        return Cause.MEMORY, "OOMKilled"
    # An earlier container of the pod ended before anybody wanted its place.
    if is_last and _is_evicted(pod):
        return Cause.EVICTED, "evicted"
    if is_last and pod.stopping:
        return Cause.TOLD, "ended by force after it was told to go"
    if over.reason == _MACHINE:
        return Cause.EVICTED, "ended with its machine"
    if over.exit_code == 0 and not over.signal:
        return Cause.TOLD, "exit code 0"
    number = over.signal or (over.exit_code - 128 if over.exit_code > 128 else 0)
    return Cause.CRASH, signal_or_code(number, over.exit_code)


def _is_evicted(pod: Pod) -> bool:
    disrupted = pod.status.condition("DisruptionTarget")
    return pod.status.reason == "Evicted" or (disrupted is not None and disrupted.status == "True")


def signal_or_code(number: int, code: int) -> str:
    """``SIGKILL`` or ``exit code 1``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit code {code}"
