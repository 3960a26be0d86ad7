"""Why a fleet's workers do not start or do not stay up, as a sentence with the mend. Pure.

Kubernetes says it in five places: a condition of the Deployment (no pod could be
made), a condition of the pod (no node), and three states of a container.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sluiceway.kube.views import ContainerStatus, Deployment, Pod, Terminated

NODE_WITHIN_S = 600.0
"""A cluster that grows by itself has made a node within this time."""
LONGEST = 240
"""Characters of Kubernetes' own words that are shown."""


class Hindrance(StrEnum):
    """What keeps a worker from working; the first of these is told first."""

    CONFIG = "config"
    IMAGE = "image"
    CRASH = "crash"
    NO_NODE = "no node"


_WAITING = {
    "CreateContainerConfigError": Hindrance.CONFIG,
    "CreateContainerError": Hindrance.CONFIG,
    "RunContainerError": Hindrance.CONFIG,
    "ErrImagePull": Hindrance.IMAGE,
    "ImagePullBackOff": Hindrance.IMAGE,
    "ErrImageNeverPull": Hindrance.IMAGE,
    "InvalidImageName": Hindrance.IMAGE,
    "CrashLoopBackOff": Hindrance.CRASH,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PodTrouble:
    """What keeps one pod from working."""

    hindrance: Hindrance
    details: str
    """What Kubernetes says about it."""


def pod_trouble(pod: Pod) -> PodTrouble | None:
    """What keeps this pod from working; None while it works, starts, or goes."""
    if pod.finished or pod.stopping:
        return None
    scheduled = pod.status.condition("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return PodTrouble(
            hindrance=Hindrance.NO_NODE, details=scheduled.message or scheduled.reason
        )
    found = sorted(_container_troubles(pod), key=lambda one: list(Hindrance).index(one.hindrance))
    return found[0] if found else None


def trouble(deployment: Deployment, pods: Iterable[Pod]) -> str | None:
    """Say why the fleet has fewer workers than it asks for, if there is a reason.

    Args:
        pods: the Deployment's own.
    """
    for condition in deployment.status.conditions:
        if condition.type == "ReplicaFailure" and condition.status == "True":
            return (
                f"no further worker can be made: {_short(condition.message)}; raise the quota "
                "or the limit that is named, or lower maxReplicas"
            )
    expected = [pod for pod in pods if not pod.finished and not pod.stopping]
    hindered = [(pod, found) for pod in expected if (found := pod_trouble(pod)) is not None]
    for hindrance in Hindrance:
        among = [(pod, found) for pod, found in hindered if found.hindrance is hindrance]
        if among:
            return _sentence(hindrance, among, len(expected))
    return None


def stuck(deployment: Deployment, pods: Iterable[Pod], now: float) -> str | None:
    """Say why more pods would not work either, if that is so.

    A missing image is missing for the next pod, too. A node may be on its way: for pods
    that find none, somebody is making one, until they have waited for minutes.

    Args:
        pods: the Deployment's own.
        now: Unix seconds.
    """
    expected = [pod for pod in pods if not pod.finished and not pod.stopping]
    if any(pod.ready for pod in expected):
        return None
    waited_long = [
        pod for pod in expected if now - pod.metadata.creation_timestamp.timestamp() > NODE_WITHIN_S
    ]
    hindered = [found for pod in expected if (found := pod_trouble(pod)) is not None]
    futile = any(found.hindrance is not Hindrance.NO_NODE for found in hindered)
    if futile or (hindered and waited_long) or _refused(deployment):
        return trouble(deployment, expected)
    return None


def _refused(deployment: Deployment) -> bool:
    """Whether not even the pod objects can be made, as beyond a quota."""
    return any(
        one.type == "ReplicaFailure" and one.status == "True"
        for one in deployment.status.conditions
    )


def _sentence(hindrance: Hindrance, among: Sequence[tuple[Pod, PodTrouble]], expected: int) -> str:
    pod, found = among[0]
    who = f"{len(among)} of {expected} workers"
    said = _short(found.details)
    match hindrance:
        case Hindrance.CONFIG:
            return f"{who} cannot be started: {said}; correct worker.template, or add what is named"
        case Hindrance.IMAGE:
            return (
                f"{who} cannot get their image: {said}; check worker.image, and the pull secrets "
                "of the service account"
            )
        case Hindrance.CRASH:
            return (
                f"{who} ended by themselves: {said}; "
                f"see kubectl logs -n {pod.metadata.namespace} {pod.metadata.name} --previous"
            )
        case Hindrance.NO_NODE:
            return f"{who} find no node: {said}; check the class's nodes, or lower maxReplicas"


def _container_troubles(pod: Pod) -> Iterator[PodTrouble]:
    for status in pod.status.init_container_statuses:
        ended = status.state.terminated
        if ended is not None and ended.exit_code != 0:
            yield PodTrouble(hindrance=Hindrance.CRASH, details=_ending(status, ended))
        yield from _waiting(status)
    for status in pod.status.container_statuses:
        # One that was started again after its end has mended nothing before it is ready.
        before = status.last_state.terminated if not status.ready else None
        if (ended := status.state.terminated or before) is not None:
            yield PodTrouble(hindrance=Hindrance.CRASH, details=_ending(status, ended))
        yield from _waiting(status)


def _waiting(status: ContainerStatus) -> Iterator[PodTrouble]:
    waiting = status.state.waiting
    hindrance = _WAITING.get(waiting.reason) if waiting is not None else None
    if waiting is None or hindrance is None:
        return  # ContainerCreating and its like: it is on its way
    before = status.last_state.terminated
    if hindrance is Hindrance.CRASH and before is not None:
        yield PodTrouble(hindrance=hindrance, details=_ending(status, before))
    else:
        yield PodTrouble(
            hindrance=hindrance,
            details=f"container {status.name}: {waiting.message or waiting.reason}",
        )


def _ending(status: ContainerStatus, ended: Terminated) -> str:
    if ended.reason == "OOMKilled":
        how = "it needed more memory than its limit allows"
    elif ended.signal:
        how = f"signal {ended.signal}"
    else:
        how = f"exit code {ended.exit_code}"
    said = f" ({ended.message.strip()})" if ended.message.strip() else ""
    restarts = f", {status.restart_count} restarts" if status.restart_count else ""
    return f"container {status.name}: {how}{said}{restarts}"


def _short(text: str) -> str:
    one_line = " ".join(text.split()).rstrip(".;")
    return one_line if len(one_line) <= LONGEST else one_line[: LONGEST - 1] + "…"
