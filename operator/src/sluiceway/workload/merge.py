"""A user's pod template laid over the generated one (``worker.template``).

Lists whose items have an identity are merged item by item, as Kubernetes' strategic
merge does it: containers by name, mounts by path. Maps of independent entries are
merged entry by entry. Everything else is one value and is replaced: half of a volume's
source or of a probe laid over another half would be neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Lay = Callable[[Any, Any], Any]


def laid_over(generated: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """The pod template that follows; neither argument is changed.

    ``null`` takes a member away. New items of a list follow the generated ones, in their
    order; tolerations are appended, since each only adds to what is borne.
    """
    # An empty `spec:` is a null in YAML, and means that nothing is said of it.
    said = {name: value for name, value in template.items() if value is not None}
    return _members(generated, said, _TEMPLATE)


def by_key(*key: str, item: Lay | None = None) -> Lay:
    """Lay lists over each other whose items are the same where all of ``key`` are equal.

    Args:
        item: how an item is laid over its equal; without it, it takes the place.
    """

    def identity(one: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(one.get(name) or _IMPLIED.get(name) for name in key)

    def lay(under: list[Any], over: list[Any]) -> list[Any]:
        merged = {identity(one): one for one in under}
        for one in over:
            before = merged.get(identity(one))
            merged[identity(one)] = item(before, one) if item and before is not None else one
        return list(merged.values())

    return lay


def _members(
    under: Mapping[str, Any], over: Mapping[str, Any], known: Mapping[str, Lay]
) -> dict[str, Any]:
    """Member by member: as ``known`` says, or replaced."""
    merged = dict(under)
    for name, value in over.items():
        if value is None:
            merged.pop(name, None)
        elif name in known and merged.get(name) is not None:
            merged[name] = known[name](merged[name], value)
        else:
            merged[name] = value
    return merged


def _entries(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    return _members(under, over, {})


def _appended(under: list[Any], over: list[Any]) -> list[Any]:
    return [*under, *(one for one in over if one not in under)]


def _objects(known: Mapping[str, Lay]) -> Lay:
    return lambda under, over: _members(under, over, known)


_IMPLIED = {"protocol": "TCP"}
"""What Kubernetes takes where a member of a key is left out."""

_CONTAINER: Mapping[str, Lay] = {
    "env": by_key("name"),
    "volumeMounts": by_key("mountPath"),
    "ports": by_key("containerPort", "protocol"),
    "securityContext": _entries,
}

_POD: Mapping[str, Lay] = {
    "containers": by_key("name", item=_objects(_CONTAINER)),
    "initContainers": by_key("name", item=_objects(_CONTAINER)),
    "volumes": by_key("name"),
    "tolerations": _appended,
    "nodeSelector": _entries,
    "securityContext": _entries,
}

_TEMPLATE: Mapping[str, Lay] = {
    "metadata": _objects({"labels": _entries, "annotations": _entries}),
    "spec": _objects(_POD),
}
