"""What the workers take from another Deployment, such as the web's (``worker.like``).

Taken is what makes the application the same program in the same surroundings: image,
environment, volumes, and who it is. Not taken is what makes it a web: command, ports,
probes, resources, sidecars, labels, where it is scheduled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluiceway.api.worker import Like
from sluiceway.workload.unmakeable import UnmakeableError, Why

_USER = ("runAsUser", "runAsGroup")
_FILES = ("fsGroup", "fsGroupChangePolicy", "supplementalGroups")
"""As whom files on volumes are read; a volume is of no use without."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """Parts of a pod as Kubernetes writes them, ready to stand in another pod."""

    container: Mapping[str, Any]
    """image, imagePullPolicy, workingDir, env, envFrom, volumeMounts, volumeDevices,
    securityContext (the user only); each only where the other pod has it."""
    pod: Mapping[str, Any] = field(default_factory=dict)
    """volumes, imagePullSecrets, serviceAccountName, securityContext (user and groups),
    automountServiceAccountToken (only where it was asked for)."""


def take_after(like: Like, template: Mapping[str, Any]) -> Taken:
    """What the workers take from a Deployment's pod template.

    Args:
        template: the Deployment's ``spec.template`` as the API server has it.

    Raises:
        UnmakeableError: it has no container of that name, or several and none is named.
    """
    pod = template["spec"]
    source = _container(like, pod["containers"])
    container = {
        name: source[name]
        for name in (
            *("image", "imagePullPolicy", "workingDir"),
            *("env", "envFrom", "volumeMounts", "volumeDevices"),
        )
        if source.get(name)
    }
    if user := _user(source.get("securityContext"), _USER):
        container["securityContext"] = user
    return Taken(container=container, pod=_pod(pod, container))


def _container(like: Like, containers: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    names = ", ".join(one["name"] for one in containers)
    if like.container is None:
        if len(containers) > 1:
            raise UnmakeableError(
                Why.CONTAINER_NOT_NAMED,
                f"worker.like: the Deployment {like.name} has several containers ({names}): "
                "name the application's as container",
            )
        return containers[0]
    for one in containers:
        if one["name"] == like.container:
            return one
    raise UnmakeableError(
        Why.NO_SUCH_CONTAINER,
        f"worker.like.container: the Deployment {like.name} has no container {like.container}: "
        f"write one of {names}",
    )


def _pod(pod: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, Any]:
    used = {
        one["name"]
        for one in [*container.get("volumeMounts", ()), *container.get("volumeDevices", ())]
    }
    taken: dict[str, Any] = {
        "volumes": [one for one in pod.get("volumes", ()) if one["name"] in used],
        "imagePullSecrets": pod.get("imagePullSecrets"),
        "serviceAccountName": pod.get("serviceAccountName"),
        "securityContext": _user(pod.get("securityContext"), (*_USER, *_FILES)),
        # Left out means yes for Kubernetes, and was not asked for by anybody.
        "automountServiceAccountToken": pod.get("automountServiceAccountToken"),
    }
    return {name: value for name, value in taken.items() if value}


def _user(context: Mapping[str, Any] | None, names: tuple[str, ...]) -> dict[str, Any]:
    """Who it runs as. Root is not taken along: workers do without."""
    taken = {name: context[name] for name in names if context and context.get(name) is not None}
    if taken.get("runAsUser") == 0:
        del taken["runAsUser"]
    return taken
