"""Objects that are not what their kind says: the field is named before anything looks into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluiceway.convert.result import NotConvertibleError, Object, name_of

_MAPPINGS = (
    "metadata", "metadata.annotations", "spec", "spec.scaleTargetRef", "spec.fallback",
    "spec.advanced", "spec.advanced.horizontalPodAutoscalerConfig", "spec.behavior",
    "spec.advanced.horizontalPodAutoscalerConfig.behavior",
)  # fmt: skip
_LISTS = ("spec.triggers", "spec.metrics")
_IN_TRIGGERS = ("metadata", "authenticationRef")
_NUMBERS = (
    "spec.minReplicaCount", "spec.idleReplicaCount", "spec.maxReplicaCount",
    "spec.cooldownPeriod", "spec.minReplicas", "spec.maxReplicas",
)  # fmt: skip
_NUMBERS_OF_TRIGGERS = ("listLength", "activationListLength", "desiredReplicas")
_PAUSED_AT = "autoscaling.keda.sh/paused-replicas"


def require_shape(obj: Object) -> None:
    """See that a ScaledObject's or HPA's fields are mappings, lists and numbers where they must.

    Raises:
        NotConvertibleError: one is not; it names the field, the value and what is wanted.
    """
    # An object whose metadata is broken has no name to be told by.
    named = name_of(obj) if isinstance(obj.get("metadata") or {}, Mapping) else str(obj["kind"])
    for path in _MAPPINGS:
        _require(named, path, _at(obj, path), Mapping, "fields")
    for path in _LISTS:
        _require(named, path, _at(obj, path), list, "a list")
        for index, one in enumerate(_at(obj, path) or ()):
            # An item that is empty is none either.
            _require(named, f"{path}[{index}]", "" if one is None else one, Mapping, "fields")
    for path in _NUMBERS:
        _require_whole(named, path, _at(obj, path))
    for index, trigger in enumerate(_at(obj, "spec.triggers") or ()):
        where = f"spec.triggers[{index}]"
        for part in _IN_TRIGGERS:
            _require(named, f"{where}.{part}", trigger.get(part), Mapping, "fields")
        metadata = trigger.get("metadata") or {}
        for key in _NUMBERS_OF_TRIGGERS:
            _require_whole(named, f"{where}.metadata.{key}", metadata.get(key))
    annotations = _at(obj, "metadata.annotations") or {}
    _require_whole(named, f"metadata.annotations[{_PAUSED_AT}]", annotations.get(_PAUSED_AT))


def _at(obj: Object, path: str) -> Any:
    """The value at a path whose parents were found to be mappings; None where there is none."""
    found: Any = obj
    for part in path.split("."):
        found = (found or {}).get(part)
    return found


def _require(named: str, path: str, value: Any, kind: type | Any, wanted: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise NotConvertibleError(f"{named}: {path}: {value!r} is not {wanted}: write {wanted}")


def _require_whole(named: str, path: str, value: Any) -> None:
    if value is None or (isinstance(value, (int, str)) and str(value).isdecimal()):
        return
    raise NotConvertibleError(
        f"{named}: {path}: {value!r} is not a whole number from 0 on: write one, such as 5"
    )
