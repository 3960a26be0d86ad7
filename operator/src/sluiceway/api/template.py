"""Whether ``worker.template`` has the shape of a pod template.

The CRD leaves the template open (a pod's full type would be larger than all the rest),
so the usual slips are looked for here: members at the wrong depth, lists written as
objects, numbers where Kubernetes takes text only. What a pod may contain in detail is
the API server's to judge, when the Deployment is made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sluiceway.api.problem import Problem, Why, child, entry
from sluiceway.api.structure import nearest, unknown_field

_NAMED_LISTS = ("containers", "initContainers", "volumes")

POD_SPEC_FIELDS = frozenset((
    "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "containers", "dnsConfig",
    "dnsPolicy", "enableServiceLinks", "ephemeralContainers", "hostAliases", "hostIPC",
    "hostNetwork", "hostPID", "hostUsers", "hostname", "hostnameOverride", "imagePullSecrets",
    "initContainers", "nodeName", "nodeSelector", "os", "overhead", "preemptionPolicy", "priority",
    "priorityClassName", "readinessGates", "resourceClaims", "resources", "restartPolicy",
    "runtimeClassName", "schedulerName", "schedulingGates", "securityContext", "serviceAccount",
    "serviceAccountName", "setHostnameAsFQDN", "shareProcessNamespace", "subdomain",
    "terminationGracePeriodSeconds", "tolerations", "topologySpreadConstraints", "volumes",
))  # fmt: skip
"""What a pod's spec knew in Kubernetes 1.36; a later one may know more."""


def template_problems(path: str, template: Mapping[str, Any]) -> Iterator[Problem]:
    """What keeps ``template`` from being a pod template."""
    for name, value in template.items():
        if name in POD_SPEC_FIELDS:
            yield Problem(
                path=child(path, name),
                message=f"belongs into the pod's spec: write template.spec.{name}",
                value=value,
            )
        elif name not in ("metadata", "spec"):
            yield unknown_field(path, name, ("metadata", "spec"), value)
    for name in ("metadata", "spec"):
        yield from _object(child(path, name), template.get(name))
    for name in ("labels", "annotations"):
        labels = _members(template, "metadata").get(name)
        yield from _texts(child(child(path, "metadata"), name), labels)
    spec = _members(template, "spec")
    for name in _NAMED_LISTS:
        yield from _named_list(child(child(path, "spec"), name), spec.get(name))
    for name in ("nodeSelector", "securityContext"):
        yield from _object(child(child(path, "spec"), name), spec.get(name))
    yield from _list(child(child(path, "spec"), "tolerations"), spec.get("tolerations"))
    for name in ("containers", "initContainers"):
        for index, container in enumerate(_items(spec.get(name))):
            yield from _container(child(child(child(path, "spec"), name), index), container)


def _container(path: str, container: Mapping[str, Any]) -> Iterator[Problem]:
    """Its members that are merged with the generated ones, or looked into."""
    env = child(path, "env")
    yield from _named_list(env, container.get("env"))
    for index, variable in enumerate(_items(container.get("env"))):
        yield from _text(child(child(env, index), "value"), variable)
    mounts = child(path, "volumeMounts")
    yield from _list(mounts, container.get("volumeMounts"))
    for index, mount in enumerate(_items(container.get("volumeMounts"))):
        where = child(child(mounts, index), "mountPath")
        yield from _text(where, {"value": mount.get("mountPath")})
    yield from _list(child(path, "ports"), container.get("ports"))
    for name in ("securityContext", "resources"):
        yield from _object(child(path, name), container.get(name))
    for name in ("limits", "requests"):
        resources = _members(container, "resources")
        yield from _object(child(child(path, "resources"), name), resources.get(name))


def template_advice(path: str, template: Mapping[str, Any]) -> Iterator[Problem]:
    """Members of the pod's spec that Kubernetes would silently drop."""
    for name in _members(template, "spec"):
        if name not in POD_SPEC_FIELDS:
            meant = nearest(name, POD_SPEC_FIELDS)
            hint = f"did you mean {meant}?" if meant else "look it up in the reference of pods"
            yield Problem(
                why=Why.ADVICE,
                path=child(child(path, "spec"), name),
                message=f"is not a field of a pod's spec that is known here: {hint}",
                meant=meant,
            )


def _object(path: str, value: Any) -> Iterator[Problem]:
    if value is not None and not isinstance(value, Mapping):
        yield Problem(
            path=path,
            message="must be an object with members of its own: write them below it, indented",
            value=value,
        )


def _texts(path: str, value: Any) -> Iterator[Problem]:
    """A map of text to text, as labels and annotations are."""
    yield from _object(path, value)
    if isinstance(value, Mapping):
        for key in value:
            yield from _text(entry(path, str(key)), {"value": value[key]})


def _text(path: str, holder: Mapping[str, Any]) -> Iterator[Problem]:
    value = holder.get("value")
    if value is not None and not isinstance(value, str):
        mend = (
            f'write "{json.dumps(value)}" in quotes'
            if not isinstance(value, (Mapping, list))
            else "write text"
        )
        yield Problem(path=path, message=f"must be text: {mend}", value=value)


def _list(path: str, value: Any) -> Iterator[Problem]:
    """A list of objects."""
    if value is None:
        return
    if not isinstance(value, list):
        yield _no_list(path, value)
        return
    for index, item in enumerate(value):
        if not isinstance(item, Mapping):
            yield Problem(
                path=child(path, index),
                message="must be an object: write its members behind the dash, as name: value",
                value=item,
            )


def _no_list(path: str, value: Any) -> Problem:
    return Problem(path=path, message="must be a list: put a dash before each item", value=value)


def _named_list(path: str, value: Any) -> Iterator[Problem]:
    """A list of objects that are told apart by their names."""
    if value is None:
        return
    if not isinstance(value, list):
        yield _no_list(path, value)
        return
    seen: set[str] = set()
    for index, item in enumerate(value):
        name = item.get("name") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or not name:
            yield Problem(
                path=child(path, index),
                message="must be an object with a name: add name, by which it is merged",
                value=item,
            )
        elif name in seen:
            yield Problem(
                path=child(path, index),
                message=f"the name {name} is taken twice: rename one of the two, or merge them",
                value=name,
                names_value=True,
            )
        else:
            seen.add(name)


def _members(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        return []
    return [item if isinstance(item, Mapping) else {} for item in value]
