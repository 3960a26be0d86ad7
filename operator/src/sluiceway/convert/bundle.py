"""The objects of all files by what they are, so that one finds the other that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sluiceway.convert.result import Object

_AUTHENTICATIONS = ("TriggerAuthentication", "ClusterTriggerAuthentication")


@dataclass(kw_only=True, slots=True)
class Bundle:
    """What was given."""

    scaled_objects: list[Object] = field(default_factory=list)
    autoscalers: list[Object] = field(default_factory=list)
    deployments: list[Object] = field(default_factory=list)
    authentications: list[Object] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Kinds that are left alone."""

    def deployment(self, of: Object, name: str) -> Object | None:
        """The Deployment that an object of the same namespace names."""
        return _find(self.deployments, _namespace(of), name)

    def authentication(self, of: Object, ref: Mapping[str, Any]) -> Object | None:
        """The (Cluster)TriggerAuthentication of an ``authenticationRef``."""
        kind = ref.get("kind") or _AUTHENTICATIONS[0]
        found = [one for one in self.authentications if one.get("kind") == kind]
        namespace = _namespace(of) if kind == _AUTHENTICATIONS[0] else None
        return _find(found, namespace, str(ref.get("name")))


def bundle_of(objects: Iterable[Any]) -> Bundle:
    """Sort objects; the items of a List as if each stood alone."""
    bundle = Bundle()
    for obj in objects:
        if not isinstance(obj, Mapping):
            continue
        kind = str(obj.get("kind"))
        if kind.endswith("List"):
            inner = bundle_of(obj.get("items") or ())
            bundle.scaled_objects += inner.scaled_objects
            bundle.autoscalers += inner.autoscalers
            bundle.deployments += inner.deployments
            bundle.authentications += inner.authentications
            bundle.others += inner.others
        elif kind == "ScaledObject":
            bundle.scaled_objects.append(obj)
        elif kind == "HorizontalPodAutoscaler":
            # The one that KEDA makes for a ScaledObject goes with it.
            if not _made_by_keda(obj):
                bundle.autoscalers.append(obj)
        elif kind == "Deployment":
            bundle.deployments.append(obj)
        elif kind in _AUTHENTICATIONS:
            bundle.authentications.append(obj)
        else:
            bundle.others.append(kind)
    return bundle


def _made_by_keda(autoscaler: Object) -> bool:
    owners = (autoscaler.get("metadata") or {}).get("ownerReferences") or ()
    return any(one.get("kind") == "ScaledObject" for one in owners)


def _find(objects: Iterable[Object], namespace: str | None, name: str) -> Object | None:
    for one in objects:
        metadata = one.get("metadata") or {}
        if metadata.get("name") == name and (
            namespace is None or metadata.get("namespace") in (None, namespace)
        ):
            return one
    return None


def _namespace(obj: Object) -> str | None:
    namespace = (obj.get("metadata") or {}).get("namespace")
    return None if namespace is None else str(namespace)
