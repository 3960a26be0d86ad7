"""What service accounts have asked of an API server, from its audit log.

Kubernetes' own controllers are left out, who ask for a great deal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CREATED = 201
REFUSED = 400
"""Answers from here on changed nothing."""

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
POD_NAME = "authentication.kubernetes.io/pod-name"

POLICY = json.dumps(
    {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
            {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        ],
    }
)


@dataclass(frozen=True, kw_only=True, order=True)
class Access:
    """One kind of access, as a rule of a Role grants it."""

    group: str
    """Empty for the core group."""
    resource: str
    """In the plural, with its subresource: ``deployments/scale``."""
    verb: str


def accesses(log: Path, user: str) -> Iterator[Access]:
    """All that a user has asked for, granted or not, with repetitions.

    An apply that makes its object needs the right to create, too, and counts as both.
    """
    for event in _events(log, user):
        verb = event["verb"]
        group, resource = event["objectRef"].get("apiGroup", ""), _resource(event)
        yield Access(group=group, resource=resource, verb=verb)
        if verb == "patch" and event["responseStatus"].get("code") == CREATED:
            yield Access(group=group, resource=resource, verb="create")


@dataclass(frozen=True, kw_only=True, order=True)
class Write:
    """One change that a pod made."""

    at: str
    """RFC 3339 with microseconds, in UTC: sorts by time."""
    pod: str
    namespace: str
    resource: str
    """As in ``Access``."""


def writes(log: Path, user: str) -> list[Write]:
    """All that the pods of a service account changed, in the order in which they asked for it.

    A Lease counts from the answer on: who writes it leads from then, and not before.
    """
    return sorted(
        Write(
            at=event["stageTimestamp" if resource == "leases" else "requestReceivedTimestamp"],
            pod=event["user"]["extra"][POD_NAME][0],
            namespace=event["objectRef"].get("namespace", ""),
            resource=resource,
        )
        for event in _events(log, user)
        if event["verb"] in WRITES and event["responseStatus"].get("code", 0) < REFUSED
        for resource in [_resource(event)]
    )


def _events(log: Path, user: str) -> Iterator[dict[str, Any]]:
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return  # the API server is writing it
            event: dict[str, Any] = json.loads(line)
            if event["user"]["username"] == user and "resource" in event.get("objectRef", {}):
                yield event


def _resource(event: dict[str, Any]) -> str:
    place = event["objectRef"]
    return "/".join(part for part in (place["resource"], place.get("subresource")) if part)
