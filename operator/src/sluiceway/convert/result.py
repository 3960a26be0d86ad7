"""What a conversion comes to: a TaskQueue and what there is to say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluiceway.api.duration import format_duration

Object = Mapping[str, Any]
"""An object of Kubernetes as parsed YAML."""


class NotConvertibleError(Exception):
    """The object cannot become a TaskQueue; one sentence says why, and what to do instead."""


@dataclass(kw_only=True, slots=True)
class Draft:
    """A TaskQueue in the making."""

    source: str
    """``ScaledObject/shop/exports``."""
    name: str
    namespace: str | None
    spec: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    """One sentence each: what has no counterpart, what was guessed, what to do by hand."""

    def say(self, remark: str) -> None:
        """Add a remark, once."""
        if remark not in self.remarks:
            self.remarks.append(remark)

    def body(self) -> dict[str, Any]:
        """The object as a user would write it."""
        metadata = {"name": self.name}
        if self.namespace is not None:
            metadata["namespace"] = self.namespace
        order = ("queues", "broker", "worker", "scaling")
        return {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "TaskQueue",
            "metadata": metadata,
            "spec": {part: self.spec[part] for part in order if self.spec.get(part)},
        }


def name_of(obj: Object) -> str:
    """``kind/namespace/name`` of an object, without the namespace where none is written."""
    metadata = obj.get("metadata") or {}
    parts = (obj.get("kind"), metadata.get("namespace"), metadata.get("name"))
    return "/".join(str(part) for part in parts if part)


def seconds(value: float) -> str:
    """As a TaskQueue writes a time that KEDA and Kubernetes write in seconds."""
    return format_duration(float(value))
