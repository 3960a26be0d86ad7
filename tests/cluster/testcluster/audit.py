"""What service accounts have asked of an API server, from its audit log.

Kubernetes' own controllers are left out, who ask for a great deal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CREATED = 201

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
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            place = event.get("objectRef", {})
            if event["user"]["username"] != user or "resource" not in place:
                continue
            parts = (place["resource"], place.get("subresource"))
            group, resource = place.get("apiGroup", ""), "/".join(part for part in parts if part)
            yield Access(group=group, resource=resource, verb=event["verb"])
            if event["verb"] == "patch" and event["responseStatus"].get("code") == CREATED:
                yield Access(group=group, resource=resource, verb="create")
